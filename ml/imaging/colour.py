"""Colour samples that hold a grey image, and those that do not."""

import numpy as np
from numpy.typing import NDArray

from ml.imaging.refusals import refusal

#: The most by which the channels of one pixel may differ, of 255. A grey picture saved as a colour JPEG
#: (quality 30 to 95) comes back without any difference; the tolerance is for one that was also scaled or
#: edited in colour. A coloured mark differs by far more.
CHANNEL_TOLERANCE = 8
#: The sums take 4 bytes for each of the samples that has one: not all rows at once.
BLOCK_ROWS = 256


def grey_of_rgb(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the grey samples (rows, columns) of an RGB array (rows, columns, 3) whose channels agree.

    Raises `ImageRefused("not_grey")` where the channels of any pixel differ by more than `CHANNEL_TOLERANCE`.
    """
    grey = np.empty(rgb.shape[:2], dtype=np.uint8)
    for start in range(0, len(rgb), BLOCK_ROWS):
        block = rgb[start : start + BLOCK_ROWS]
        if int((block.max(axis=2) - block.min(axis=2)).max()) > CHANNEL_TOLERANCE:
            raise refusal("not_grey")
        # Luma of ITU-R BT.601 in fixed point; the weights add up to 65536, so equal channels come out unchanged.
        luma = block @ np.array([19595, 38470, 7471], dtype=np.uint32) + np.uint32(32768)
        grey[start : start + BLOCK_ROWS] = luma >> 16
    return grey
