"""Letters, markers and frames of an X-ray: found, covered, and drawn, to see whether a network answers to them.

All functions take and return squares as uint8 (n, size, size) and masks as bool (n, size, size).
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

# As shares of the side. Letters of a marker are thin, small, and brighter than what is around them.
STROKE = 0.07
LOWEST, HIGHEST, WIDEST = 0.015, 0.14, 0.3
# Of 255: how much brighter than its surroundings a letter is.
CONTRAST = 50
FRAME, CORNER = 0.1, 0.2
BLACK_BORDER = 0.06
WHITE = 245
# Upper left corner of each drawing as shares of the side, and its height. In a frontal view the patient's left is
# on the right of the picture.
LETTERS = {"L": (0.86, 0.04, 0.1), "R": (0.06, 0.04, 0.1), "PORTABLE": (0.05, 0.03, 0.08)}
ARROW = ((0.09, 0.12), (0.09, 0.28))
DRAWINGS = (*LETTERS, "arrow", "black_border")


def letter_spots(squares: np.ndarray, lungs: np.ndarray) -> np.ndarray:
    """Small bright thin spots outside the lungs, as letters and markers are: a top-hat filter, then the size of each
    connected spot. It also takes wires and sharp edges of bones that look the same.
    """
    size = squares.shape[1]
    width = max(3, round(STROKE * size))
    found = np.zeros(squares.shape, bool)
    for number, (square, lung) in enumerate(zip(squares, lungs, strict=True)):
        bright = ndimage.white_tophat(square.astype(np.int16), size=(width, width)) > CONTRAST
        spots, count = ndimage.label(bright, np.ones((3, 3)))
        in_lungs = np.bincount(spots.ravel(), lung.ravel(), minlength=count + 1) > 0
        for index, place in enumerate(ndimage.find_objects(spots), start=1):
            rows, columns = ((part.stop - part.start) / size for part in place)
            if LOWEST <= rows <= HIGHEST and columns <= WIDEST and not in_lungs[index]:
                found[number][place] |= spots[place] == index
    around = np.ones((1, 5, 5), bool)
    return ndimage.binary_dilation(found, around) & ~lungs


def edges(lungs: np.ndarray) -> np.ndarray:
    """The outer tenth of each side and the corners' fifth, where letters stand, without the lungs."""
    size = lungs.shape[1]
    near, far = round(FRAME * size), round(CORNER * size)
    mask = np.ones((size, size), bool)
    mask[near:-near, near:-near] = False
    for rows in (slice(0, far), slice(size - far, size)):
        for columns in (slice(0, far), slice(size - far, size)):
            mask[rows, columns] = True
    return mask & ~lungs


def mirrored(mask: np.ndarray, lungs: np.ndarray) -> np.ndarray:
    """The mask with left and right exchanged, without the lungs and the mask itself: as much of what is no letter."""
    return mask[:, :, ::-1] & ~lungs & ~mask


def cover(squares: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The squares with the places `mask` replaced by a smooth continuation of what is around them.

    Each hidden place takes the mean of the shown ones, weighted by a Gaussian of the smallest of three widths that
    still reaches some (normalised convolution, Knutsson and Westin 1993).
    """
    size = squares.shape[1]
    result = squares.copy()
    for number in np.flatnonzero(mask.any(axis=(1, 2))):
        hidden, shown = mask[number], ~mask[number]
        greys = np.where(shown, squares[number], 0).astype(np.float32)
        left = hidden.copy()
        for reach in (0.02, 0.06, 0.2):
            weight = ndimage.gaussian_filter(shown.astype(np.float32), reach * size)
            near = left & (weight > 0.05)
            mean = ndimage.gaussian_filter(greys, reach * size)[near] / weight[near]
            result[number][near] = np.rint(np.clip(mean, 0, 255)).astype(np.uint8)
            left &= ~near
        if left.any():
            result[number][left] = round(float(greys[shown].mean())) if shown.any() else 127
    return result


def draw(squares: np.ndarray, what: str) -> np.ndarray:
    """The squares with one of `DRAWINGS` on each: a letter or word, an arrow that points up, a black border."""
    size = squares.shape[1]
    if what == "black_border":
        result = squares.copy()
        width = max(1, round(BLACK_BORDER * size))
        inside = np.zeros((size, size), bool)
        inside[width:-width, width:-width] = True
        result[:, ~inside] = 0
        return result
    layer = Image.new("L", (size, size), 0)
    pen = ImageDraw.Draw(layer)
    if what == "arrow":
        (x, top), (_, low) = ((x * size, y * size) for x, y in ARROW)
        half = 0.03 * size
        pen.line([(x, low), (x, top)], fill=WHITE, width=max(1, round(0.012 * size)))
        pen.polygon([(x - half, top + half), (x + half, top + half), (x, top - half)], fill=WHITE)
    else:
        x, y, height = LETTERS[what]
        pen.text((x * size, y * size), what, fill=WHITE, font=ImageFont.load_default(height * size))
    return np.maximum(squares, np.asarray(layer))
