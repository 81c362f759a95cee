"""A chest X-ray drawn from nothing: no patient, no data set.

The picture is made as a radiograph is: thicknesses of air, soft tissue and bone along the beam add up to an
attenuation (Beer-Lambert), which is then brought to grey as a processed chest image is, with its
large-scale contrast compressed. Lengths are centimetres; x runs from the midline to the patient's left (the
right of the picture), y down from the top.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from scipy.interpolate import PchipInterpolator, splev, splprep

Field = NDArray[np.floating[Any]]
Profile = tuple[list[float], list[float]]
Points = Sequence[tuple[float, float]]

WARNING = "DRAWN - NOT A PATIENT"

#: The field of view that the chest needs.
HEIGHT_CM = 37.0
WIDTH_CM = 34.0

#: The anatomy is drawn with this many pixels on the longer side and enlarged: it has no finer detail than
#: that, and the time would otherwise grow with the picture. Grain and letters are made at the full size.
WORKING_SIDE = 640

#: Linear attenuation for each centimetre at the energies of a chest tube, in the units of the picture.
SOFT, BONE = 0.20, 0.50


#: Outlines as (x, y): from the midline up over the apex and down to the costophrenic angle, along the dome,
#: and back up.
RIGHT_LUNG = (
    [(-2.9, 8.2), (-4.4, 5.9), (-7.2, 6.2), (-9.9, 9.3), (-11.6, 14), (-12.6, 20), (-13.2, 26)],
    np.array([(-13.3, 30), (-11.2, 28.4), (-8.2, 26.9), (-5.2, 27.2), (-3.0, 28.4)]),
    [(-2.6, 22), (-2.5, 15), (-2.3, 11)],
)
LEFT_LUNG = (
    [(2.9, 8.2), (4.4, 5.9), (7.2, 6.2), (9.9, 9.3), (11.6, 14), (12.6, 20), (13.2, 26)],
    np.array([(13.4, 30.8), (11.4, 29.3), (8.6, 28.2), (5.4, 28.4), (3.0, 29)]),
    [(2.6, 22), (2.5, 15), (2.5, 11)],
)
MEDIASTINUM_RIGHT = [(-3.1, 19)]
MEDIASTINUM_LEFT = [(3.3, 17.2), (3.0, 14.2), (2.2, 12.2), (-1.5, 12.2), (-2.4, 15)]
AIRWAYS = [
    [(0, -2), (0.1, 6), (0.2, 13.4)],
    [(0.2, 13.4), (-1.2, 15.2), (-2.8, 16.8)],
    [(0.2, 13.4), (2.0, 15.4), (3.6, 16.6)],
]
#: Half the trunk's width, and its depth from front to back, at heights from the top.
TRUNK_WIDTH: Profile = (
    [0, 2.5, 4.5, 6.5, 9, 14, 22, 32, 48],
    [5.6, 6.0, 9.5, 15.0, 17.0, 15.6, 15.2, 15.8, 16.6],
)
TRUNK_DEPTH: Profile = ([0, 5, 10, 20, 32, 48], [11, 12, 17, 21, 24, 25])


class Variant(StrEnum):
    NORMAL = "normal"
    #: Patches at the edges of both lungs, more in the lower zones: the picture that COVID-19 pneumonia is
    #: known for.
    PERIPHERAL = "peripheral"
    #: Haze over all of both lungs.
    DIFFUSE = "diffuse"


@dataclass(frozen=True)
class _Sheet:
    """The drawing sheet: where each pixel lies in the chest, and how to draw on it."""

    rows: int
    columns: int

    @property
    def scale(self) -> float:
        """Pixels for each centimetre."""
        return min(self.rows / HEIGHT_CM, self.columns / WIDTH_CM)

    def grid(self) -> tuple[Field, Field]:
        x = (np.arange(self.columns, dtype=np.float32) + 0.5 - self.columns / 2) / self.scale
        y = (np.arange(self.rows, dtype=np.float32) + 0.5) / self.scale
        return np.broadcast_arrays(x[None, :], y[:, None])  # type: ignore[return-value]

    def pixels(self, points: Points) -> list[tuple[float, float]]:
        return [(x * self.scale + self.columns / 2, y * self.scale) for x, y in points]

    def area(self, outline: Points) -> NDArray[np.bool_]:
        """The inside of a closed smooth outline through `outline`."""
        image = Image.new("1", (self.columns, self.rows))
        ImageDraw.Draw(image).polygon(self.pixels(_smooth(outline, closed=True)), fill=1)
        return np.asarray(image)

    def distance(self, curves: Sequence[Points]) -> Field:
        """Centimetres from each pixel to the nearest of `curves`."""
        image = Image.new("1", (self.columns, self.rows), 1)
        draw = ImageDraw.Draw(image)
        for curve in curves:
            draw.line(self.pixels(_smooth(curve)), fill=0, width=1)
        return (ndimage.distance_transform_edt(np.asarray(image)) / self.scale).astype(np.float32)

    def blur(self, field: Field, centimetres: float) -> Field:
        return np.asarray(
            ndimage.gaussian_filter(field, centimetres * self.scale, mode="nearest"), dtype=np.float32
        )

    def depth(self, area: NDArray[np.bool_], roundness: float) -> Field:
        """0 at the edge of `area` to 1 at `roundness` centimetres inside and beyond: the profile of a round
        body.
        """
        inside = ndimage.distance_transform_edt(area) / (self.scale * roundness)
        return np.sqrt(1 - (1 - np.minimum(inside, 1)) ** 2).astype(np.float32)

    def noise(self, generator: np.random.Generator, centimetres: float) -> Field:
        """Smooth noise of that grain size, mean 0 and standard deviation 1, the same picture at every
        resolution.
        """
        coarse = generator.standard_normal(
            (int(HEIGHT_CM / centimetres) + 2, int(1.5 * WIDTH_CM / centimetres) + 2)
        )
        x, y = self.grid()
        place = np.stack([y / centimetres, (x + 0.75 * WIDTH_CM) / centimetres])
        return np.asarray(ndimage.map_coordinates(coarse, place, order=3, mode="nearest"), dtype=np.float32)


def _smooth(points: Points, closed: bool = False) -> list[tuple[float, float]]:
    """A smooth curve through `points`."""
    x, y = np.array([*points, points[0]] if closed else points).T
    curve, _ = splprep([x, y], s=0, per=closed, k=min(3, len(x) - 1))
    return list(zip(*(part.tolist() for part in splev(np.linspace(0, 1, 40 * len(x)), curve)), strict=True))


def _mirror(points: Points, side: int) -> list[tuple[float, float]]:
    return [(side * x, y) for x, y in points]


def draw_chest(
    seed: int, *, variant: Variant | str = Variant.NORMAL, rows: int = 1024, columns: int = 1024
) -> NDArray[np.float32]:
    """Return a drawn frontal chest, float32 (rows, columns) in 0..1, 1 = white, with `WARNING` and a side
    marker burnt in.

    The same seed gives the same chest at any size (the grain of the noise apart). `variant` is one of
    `Variant`.
    """
    return _draw(seed, Variant(variant), rows, columns).copy()


# The same chest is encoded in many ways.
@lru_cache(maxsize=4)
def _draw(seed: int, variant: Variant, rows: int, columns: int) -> Field:
    generator = np.random.default_rng(seed)
    reduction = max(1, max(rows, columns) / WORKING_SIDE)
    sheet = _Sheet(round(rows / reduction), round(columns / reduction))
    body = _body(sheet, generator)
    air = _air(sheet, generator, variant)
    bones = _bones(sheet, generator)
    attenuation = SOFT * np.maximum(body - air, 0) + BONE * bones
    attenuation += 0.03 * sheet.noise(generator, 0.9) * (body > 0)
    picture = _develop(sheet, generator, attenuation, body, (rows, columns))
    return _burn_in(picture, "R" if seed % 2 else "L")


def _body(sheet: _Sheet, generator: np.random.Generator) -> Field:
    """Centimetres of body along the beam: trunk, neck, shoulders, arms and heart."""
    x, y = sheet.grid()
    girth = generator.uniform(0.95, 1.06)
    half_width = girth * _along(y, TRUNK_WIDTH)
    front_to_back = _along(y, TRUNK_DEPTH)
    trunk = front_to_back * np.maximum(1 - np.abs(x / half_width) ** 2.6, 0) ** 0.5
    arm = 9.5 * np.sqrt(np.maximum(1 - (_from_arm(x, y) / 3.4) ** 2, 0))
    return np.maximum(trunk, 0.55 * trunk + 0.8 * arm)


def _along(y: Field, profile: Profile) -> Field:
    """A smooth profile of (heights, values) at the heights of the rows, as a column."""
    return PchipInterpolator(*profile)(y[:, :1]).astype(np.float32)


def _from_arm(x: Field, y: Field) -> Field:
    """Centimetres from the middle of the upper arms, which hang down from the shoulders and leave the
    picture.
    """
    from_axis = np.abs(np.abs(x) - (15.9 + 0.55 * (y - 8.2) - 0.011 * (y - 8.2) ** 2))
    from_head = np.hypot(np.abs(x) - 15.9, y - 8.2)
    return np.where(y > 8.2, from_axis, from_head)


def _air(sheet: _Sheet, generator: np.random.Generator, variant: Variant) -> Field:
    """Centimetres of air along the beam: lungs (less heart, vessels and disease), airways, stomach bubble."""
    x, y = sheet.grid()
    dome = generator.uniform(-0.8, 0.8)
    heart = generator.uniform(0.9, 1.12)
    shift = np.array([0, dome])
    right = [*RIGHT_LUNG[0], *(RIGHT_LUNG[1] + shift), *RIGHT_LUNG[2]]
    left = [*LEFT_LUNG[0], *(LEFT_LUNG[1] + shift), *LEFT_LUNG[2]]
    lungs = sheet.area(right) | sheet.area(left)
    air: Field = 15.5 * sheet.depth(lungs, 4.2) * (0.72 + 0.28 * np.clip((y - 5) / 12, 0, 1))

    heart_outline = [
        *MEDIASTINUM_RIGHT,
        (-3.6 * heart, 23),
        (-3.0, 27.6),
        (1, 29.6),
        (6.5 * heart, 29.2 + dome),
        (8.4 * heart, 27),
        (7.4 * heart, 23.4),
        (5.0 * heart, 19.8),
        *MEDIASTINUM_LEFT,
    ]
    air *= 1 - 0.88 * sheet.blur(sheet.depth(sheet.area(heart_outline), 2.6), 0.12)
    air *= 1 - 0.5 * _vessels(sheet, generator)
    air *= 1 - _disease(sheet, generator, variant, lungs)
    air = sheet.blur(np.asarray(air, dtype=np.float32), 0.06)

    trachea = sheet.distance(AIRWAYS)
    air = air + 2.6 * np.sqrt(np.maximum(1 - (trachea / 0.95) ** 2, 0))
    bubble = ((x - 7.0) / 3.0) ** 2 + ((y - 31.8 - dome) / 1.5) ** 2
    return np.asarray(air + 5.0 * np.sqrt(np.maximum(1 - bubble, 0)), dtype=np.float32)


def _vessels(sheet: _Sheet, generator: np.random.Generator) -> Field:
    """How much of the lung is vessel, 0..1: trees that branch and thin out from both hila."""
    image = Image.new("L", (sheet.columns, sheet.rows))
    draw = ImageDraw.Draw(image)

    def grow(x: float, y: float, angle: float, width: float) -> None:
        length = generator.uniform(0.9, 1.9) * (0.6 + width)
        end_x, end_y = x + length * np.cos(angle), y + length * np.sin(angle)
        pen = max(1, round(width * sheet.scale))
        draw.line(sheet.pixels([(x, y), (end_x, end_y)]), fill=min(255, int(60 + 260 * width)), width=pen)
        if width > 0.07:
            for turn in generator.uniform(0.1, 0.55, 2) * (-1, 1):
                grow(end_x, end_y, angle + turn, width * generator.uniform(0.62, 0.82))

    for side in (-1, 1):
        for angle in np.linspace(-1.25, 1.25, 9) + generator.normal(0, 0.08, 9):
            grow(
                side * 3.4,
                17.2 + 1.2 * angle,
                angle if side == 1 else np.pi - angle,
                generator.uniform(0.36, 0.55),
            )
    return sheet.blur(np.asarray(image, dtype=np.float32) / 255, 0.09)


def _disease(
    sheet: _Sheet, generator: np.random.Generator, variant: Variant, lungs: NDArray[np.bool_]
) -> Field:
    """How much of the lung's air is filled, 0..1."""
    x, y = sheet.grid()
    texture = np.clip(0.78 + 0.13 * sheet.noise(generator, 1.3) + 0.1 * sheet.noise(generator, 0.5), 0, 1.3)
    if variant is Variant.PERIPHERAL:
        filled = np.zeros_like(texture)
        for side in (-1, 1):
            for _ in range(int(generator.integers(3, 6))):
                height = generator.uniform(15, 27)
                centre = side * (12.2 - 0.045 * (height - 23) ** 2 - generator.uniform(0.6, 2.2))
                width, tall = generator.uniform(1.4, 2.8), generator.uniform(1.6, 3.4)
                patch = np.exp(-((((x - centre) / width) ** 2 + ((y - height) / tall) ** 2) ** 1.4))
                filled = np.maximum(filled, generator.uniform(0.45, 0.75) * patch)
        return np.asarray(np.clip(filled * texture, 0, 0.9), dtype=np.float32)
    if variant is Variant.DIFFUSE:
        haze = 0.42 + 0.16 * np.clip((y - 10) / 15, 0, 1) + 0.1 * sheet.noise(generator, 3.5)
        return np.asarray(np.clip(haze * texture * lungs, 0, 0.9), dtype=np.float32)
    return np.zeros_like(texture)


def _bones(sheet: _Sheet, generator: np.random.Generator) -> Field:
    """Centimetres of bone along the beam: spine, ribs, clavicles, scapulae, humeri."""
    x, y = sheet.grid()
    gap = generator.uniform(2.32, 2.55)
    posterior, anterior = [], []
    for rib in range(11):
        top = 4.6 + gap * rib
        reach = float(np.interp(rib, [0, 2, 5, 8, 10], [6.8, 10.7, 12.6, 13.5, 13.7]))
        fall = float(np.interp(rib, [0, 4, 10], [1.2, 2.6, 4.0]))
        for side in (-1, 1):
            wobble = generator.normal(0, 0.07)
            back = [
                (1.2, top + 0.3 + wobble),
                (0.35 * reach, top - 0.35),
                (0.7 * reach, top + 0.25 * fall),
                (0.93 * reach, top + 0.62 * fall),
                (reach + 0.25, top + 1.25 * fall),
            ]
            front = [
                back[-1],
                (0.93 * reach, top + 1.7 * fall + 1.0),
                (0.72 * reach, top + 1.9 * fall + 2.6),
                (0.5 * reach, top + 1.9 * fall + 3.5),
            ]
            posterior.append(_mirror(back, side))
            if 0 < rib < 8:
                anterior.append(_mirror(front, side))

    bone = 1.25 * _tube(sheet.distance(posterior), 0.66) + 0.75 * _tube(sheet.distance(anterior), 0.75)

    clavicles = [
        _mirror([(1.4, 8.3), (4.6, 7.0), (8.6, 6.3), (12.2, 5.2), (15.0, 5.6)], side) for side in (-1, 1)
    ]
    bone += 1.5 * _tube(sheet.distance(clavicles), 0.62)
    scapulae = [_mirror([(13.2, 7.2), (11.9, 11), (12.4, 16.5), (13.8, 19.4)], side) for side in (-1, 1)]
    bone += 0.6 * _tube(sheet.distance(scapulae), 0.42)
    blades = sheet.area(_mirror([(12.2, 9), (15.4, 7.6), (15.2, 12), (13.7, 19)], 1))
    bone += 0.35 * sheet.blur((blades | blades[:, ::-1]).astype(np.float32), 0.15)
    heads = (np.abs(x) - 15.9) ** 2 + (y - 8.2) ** 2
    bone += 1.2 * _tube(_from_arm(x, y), 1.25) + 0.8 * np.sqrt(np.maximum(1 - heads / 2.1**2, 0))

    vertebra = 2.35 + 0.012 * y
    disc = (y - 2.0) % vertebra / vertebra
    column = np.maximum(1 - (np.abs(x) / (1.8 + 0.012 * y)) ** 3, 0)
    bone += column * (0.9 + 0.9 * np.tanh(9 * np.minimum(disc, 1 - disc)))
    spinous = np.exp(-((x / 0.33) ** 2) - ((disc - 0.55) / 0.22) ** 2)
    pedicles = np.exp(-(((np.abs(x) - 1.15) / 0.3) ** 2) - ((disc - 0.35) / 0.16) ** 2)
    bone += 0.7 * spinous + 0.7 * pedicles
    return sheet.blur(np.asarray(bone, dtype=np.float32), 0.035)


def _tube(distance: Field, radius: float) -> Field:
    """The path through a hollow tube, whose wall makes a long bone's two bright edges; 1 at most."""
    outer = np.sqrt(np.maximum(1 - (distance / radius) ** 2, 0))
    inner = np.sqrt(np.maximum(1 - (distance / (0.72 * radius)) ** 2, 0))
    return np.asarray(outer - 0.55 * inner, dtype=np.float32)


def _develop(
    sheet: _Sheet, generator: np.random.Generator, attenuation: Field, body: Field, shape: tuple[int, int]
) -> Field:
    """Attenuation to grey 0..1 of that shape: large-scale contrast compressed, a soft shoulder at both
    ends, detector noise.
    """
    level = attenuation - 0.45 * sheet.blur(attenuation, 3.4)
    low, high = np.percentile(level[body > 4], (2, 99))
    grey = 0.06 + 0.9 / (1 + np.exp(-4.6 * ((level - low) / (high - low) - 0.47)))
    outside = np.exp(-attenuation / 0.45)
    grey = grey * (1 - outside) + 0.02 * outside
    enlarged = np.asarray(
        Image.fromarray(grey.astype(np.float32)).resize(shape[::-1], Image.Resampling.BICUBIC)
    )
    grain = ndimage.gaussian_filter(generator.standard_normal(shape, dtype=np.float32), 0.6)
    # Fewer photons come through dense parts: their noise is larger.
    return np.asarray(np.clip(enlarged + (0.004 + 0.016 * enlarged) * grain, 0, 1), dtype=np.float32)


def _burn_in(picture: Field, side: str) -> Field:
    """Write the warning and the side marker into the pixels, where no viewer and no export can lose them."""
    rows, columns = picture.shape
    image = Image.new("L", (columns, rows))
    draw = ImageDraw.Draw(image)
    large, small = (
        ImageFont.load_default(max(10, round(columns / 17))),
        ImageFont.load_default(max(8, round(columns / 30))),
    )
    at = (columns * (0.055 if side == "R" else 0.945), rows * 0.045)
    draw.text(at, side, fill=255, font=large, anchor="mm")
    draw.text((columns / 2, rows * 0.972), WARNING, fill=255, font=small, anchor="mm")
    ink = np.asarray(image, dtype=np.float32) / 255
    return np.asarray(picture * (1 - ink) + 0.97 * ink, dtype=np.float32)
