"""Drawings of what a gate must refuse: radiographs of other parts and views, slices, ultrasound, pages, screens.

Real ones lie in no data set here, and a gate that never met a lateral view lets it through. Every drawing is
float32 (SIDE, SIDE) in 0..1 from a random generator alone. Anatomy is drawn as thicknesses along the beam in
a sheet whose coordinates run from -1 to 1 (x to the right, y down) and are bent at random, so that no two are alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

Field = NDArray[np.floating[Any]]
Points = Sequence[tuple[float, float]]
Random = np.random.Generator

SIDE = 96
#: Rows and columns of the gate's input: enough to tell a chest from its side view, too few to tell diseases.
SIZE = 64
WORDS = (
    "patient",
    "report",
    "chest",
    "findings",
    "impression",
    "lungs",
    "clear",
    "heart",
    "normal",
    "size",
    "date",
    "of",
    "birth",
    "referred",
    "hospital",
    "department",
    "examination",
    "clinical",
    "history",
    "no",
    "pleural",
    "effusion",
    "signed",
    "page",
    "total",
    "amount",
    "invoice",
    "table",
    "figure",
    "introduction",
    "method",
    "results",
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "that",
    "for",
    "with",
    "as",
    "by",
    "on",
    "are",
    "this",
    "was",
    "from",
    "or",
)


def cloud(random: Random, grain: float) -> Field:
    """Smooth noise of that grain (a share of the side), mean 0, deviation 1."""
    field = ndimage.gaussian_filter(random.standard_normal((SIDE, SIDE)), grain * SIDE, mode="reflect")
    return np.asarray(field / (field.std() + 1e-9), dtype=np.float32)


class Sheet:
    """Where each pixel lies, and shapes as thickness 0..1 at each pixel."""

    def __init__(self, random: Random, *, turn: float = 0.15, bend: float = 0.06, zoom: float = 0.2) -> None:
        self.random = random
        steps = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE * 2 - 1
        x, y = np.meshgrid(steps, steps)
        angle, scale = random.uniform(-turn, turn), np.exp(random.uniform(-zoom, zoom, 2))
        x, y = x - random.uniform(-0.12, 0.12), y - random.uniform(-0.12, 0.12)
        x, y = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
        self.x = x * scale[0] + bend * cloud(random, 0.2)
        self.y = y * scale[1] + bend * cloud(random, 0.2)
        if random.random() < 0.5:
            self.x = -self.x

    def about(self, value: float, share: float = 0.15) -> float:
        """A value near `value`."""
        return float(value * self.random.uniform(1 - share, 1 + share))

    def ball(self, x: float, y: float, a: float, b: float, angle: float = 0.0) -> Field:
        """An ellipsoid with half axes a and b."""
        u, v = self.x - x, self.y - y
        c, s = np.cos(angle), np.sin(angle)
        inside = 1 - ((u * c + v * s) / a) ** 2 - ((v * c - u * s) / b) ** 2
        return np.sqrt(np.maximum(inside, 0))

    def disc(
        self, x: float, y: float, a: float, b: float, *, power: float = 2.0, soft: float = 0.04
    ) -> Field:
        """A flat superellipse with a soft edge."""
        radius = (np.abs((self.x - x) / a) ** power + np.abs((self.y - y) / b) ** power) ** (1 / power)
        return 1 / (1 + np.exp(np.clip((radius - 1) / soft, -30, 30)))

    def distance(self, curve: Points, samples: int = 7) -> Field:
        """From each pixel to the Bezier curve with these control points."""
        points = _bezier(curve, samples)
        found = np.full(self.x.shape, 9.0, dtype=np.float32)
        for (x1, y1), (x2, y2) in itertools.pairwise(points):
            dx, dy = x2 - x1, y2 - y1
            along = np.clip(((self.x - x1) * dx + (self.y - y1) * dy) / (dx * dx + dy * dy + 1e-9), 0, 1)
            np.minimum(found, np.hypot(self.x - x1 - along * dx, self.y - y1 - along * dy), out=found)
        return found

    def rod(self, curve: Points, radius: float, *, hollow: float = 0.5, samples: int = 7) -> Field:
        """A long bone along a curve: its wall makes two bright edges."""
        distance = self.distance(curve, samples)
        outer = np.sqrt(np.maximum(1 - (distance / radius) ** 2, 0))
        return outer - hollow * np.sqrt(np.maximum(1 - (distance / (0.7 * radius)) ** 2, 0))

    def below(self, height: Field | float, soft: float = 0.03) -> Field:
        """1 below a height, 0 above."""
        return 1 / (1 + np.exp(np.clip((height - self.y) / soft, -30, 30)))

    def right_of(self, place: Field | float, soft: float = 0.03) -> Field:
        """1 to the right of a place, 0 to the left."""
        return 1 / (1 + np.exp(np.clip((place - self.x) / soft, -30, 30)))


def _bezier(points: Points, samples: int) -> Field:
    at = np.linspace(0, 1, samples)[:, np.newaxis, np.newaxis]
    level = np.broadcast_to(np.array(points, dtype=float), (samples, len(points), 2))
    while level.shape[1] > 1:
        level = level[:, :-1] * (1 - at) + level[:, 1:] * at
    return level[:, 0]


def develop(random: Random, attenuation: Field) -> Field:
    """Attenuation to grey, as a detector's processing does: contrast compressed at large scale, soft ends, grain."""
    level = attenuation - random.uniform(0, 0.5) * ndimage.gaussian_filter(attenuation, 0.1 * SIDE)
    level = level + random.uniform(0.0, 0.06) * level.std() * cloud(random, 0.02)
    low, high = np.percentile(level, (random.uniform(0, 5), random.uniform(96, 100)))
    grey = np.clip((level - low) / (high - low + 1e-6), 0, 1) ** np.exp(random.uniform(-0.5, 0.5))
    return stretched(grey + random.uniform(0.0, 0.03) * random.standard_normal(grey.shape))


def stretched(picture: Field) -> Field:
    """Cut to 0..1 as float32."""
    return np.clip(picture, 0, 1).astype(np.float32)


def lateral_chest(random: Random) -> Field:
    """A chest from the side: one lung field between breastbone and spine, over sloping domes, arms raised."""
    s = Sheet(random, zoom=0.35)
    front = -0.72 + 0.22 * (s.y + 0.1) ** 2 + random.uniform(-0.08, 0.08)
    back = 0.66 - random.uniform(0.05, 0.3) * (s.y - 0.1) ** 2 + random.uniform(-0.05, 0.08)
    middle, half = (front + back) / 2, (back - front) / 2
    body = np.sqrt(np.maximum(1 - np.abs((s.x - middle) / half) ** 2.4, 0)) * (0.7 + 0.3 * s.below(-0.6, 0.1))
    dome = random.uniform(0.25, 0.5)
    domes = [
        dome + shift + 0.4 * np.maximum(s.x - middle, 0) ** 1.3 + 0.25 * (s.x - middle + 0.2) ** 2
        for shift in (0, random.uniform(0.0, 0.12))
    ]
    inside = s.right_of(front + s.about(0.12, 0.4), 0.02) * (1 - s.right_of(back - s.about(0.08, 0.6), 0.03))
    apex = s.below(-0.78 + 0.5 * (s.x - middle - 0.05) ** 2, 0.06)
    air = sum(inside * apex * (1 - s.below(height, 0.015)) for height in domes) / 2
    heart = s.ball(
        -0.28 + random.uniform(-0.1, 0.1), dome - 0.2, s.about(0.36), s.about(0.36), random.uniform(-0.8, 0.3)
    )
    hilum = s.ball(0.05, -0.12, s.about(0.14, 0.4), s.about(0.18, 0.4))
    arch = s.rod([(-0.15, -0.2), (-0.1, -0.62), (0.4, -0.55), (0.36, 0.6)], 0.09, hollow=0)
    picture = body * random.uniform(0.8, 1.3) - random.uniform(0.5, 0.85) * air
    picture = picture + air * (
        random.uniform(0.3, 0.6) * heart + 0.25 * hilum + random.uniform(0.1, 0.3) * arch
    )
    step = s.about(0.135, 0.2)
    spine = np.zeros_like(picture)
    for number in range(16):
        y = -1.05 + step * number
        x = 0.66 - 0.24 * (y - 0.1) ** 2 - s.about(0.17, 0.3) * 0.9
        spine = np.maximum(spine, s.disc(x, y, 0.1, step * 0.42, power=4, soft=0.1))
        spine = np.maximum(
            spine, 0.5 * s.rod([(x + 0.1, y), (x + 0.2, y + 0.12)], 0.025, hollow=0.2, samples=2)
        )
    picture = picture + random.uniform(0.15, 0.45) * spine
    for number in range(9):
        y = -0.75 + 0.16 * number
        for shift in (0.0, random.uniform(-0.05, 0.05)):
            rib = [(0.5, y - 0.1 + shift), (0.45, y + 0.1), (-0.2, y + 0.35), (-0.62, y + 0.42 + shift)]
            picture = picture + random.uniform(0.05, 0.16) * s.rod(rib, 0.03)
    picture = picture + 0.2 * s.rod([(-0.62, -0.5), (-0.72, -0.1), (-0.6, 0.35)], 0.035)
    if random.random() < 0.7:
        arm = [(0.1, -0.8), (-0.3, -1.0), (-0.7, -1.3)]
        picture = picture + random.uniform(0.2, 0.6) * (s.ball(0.1, -0.9, 0.5, 0.25) + s.rod(arm, 0.13))
    picture = picture + 0.35 * body * s.below(domes[0], 0.02) + 0.08 * cloud(random, 0.05)
    return develop(random, np.maximum(picture, 0))


def skull(random: Random) -> Field:
    """A skull from the front or from the side, with jaw, teeth and neck."""
    s = Sheet(random)
    side = random.random() < 0.5
    a, b = s.about(0.72 if side else 0.58), s.about(0.62)
    outer, inner = s.ball(0, -0.2, a, b), s.ball(0, -0.2, a * 0.93, b * 0.93)
    picture = 0.5 * outer + 1.4 * (outer - 0.93 * inner)
    if side:
        picture = (
            picture
            + 0.8 * s.rod([(0.05, 0.45), (0.3, 0.8), (0.62, 0.72)], 0.1)
            + 0.5 * s.ball(0.45, 0.35, 0.28, 0.25)
        )
        picture = (
            picture
            - 0.35 * s.ball(0.5, 0.12, 0.14, 0.12)
            + 0.8 * s.rod([(-0.1, 0.1), (0.2, 0.18), (0.6, 0.0)], 0.05)
        )
        spine = [(-0.15, 0.4), (-0.2, 0.9), (-0.1, 1.4)]
    else:
        for way in (-1, 1):
            picture = (
                picture
                - 0.4 * s.ball(way * 0.25, 0.0, 0.17, 0.15)
                + 0.5 * s.rod([(way * 0.5, 0.2), (way * 0.45, 0.7), (0, 0.85)], 0.1)
            )
        picture = picture - 0.4 * s.ball(0, 0.22, 0.1, 0.2) + 0.5 * s.ball(0, 0.5, 0.3, 0.1)
        spine = [(0, 0.5), (0, 1.0), (0, 1.4)]
    picture = picture + 0.6 * s.rod(spine, 0.13, hollow=0.2) + 0.25 * s.ball(0, 1.1, 0.4, 0.7)
    return develop(random, np.maximum(picture + 0.06 * cloud(random, 0.04), 0))


def hand(random: Random) -> Field:
    """A hand or a foot: five rays of short bones, wrist bones, two forearm bones, soft tissue around."""
    s = Sheet(random, turn=0.6)
    picture = np.zeros_like(s.x)
    spread = random.uniform(0.12, 0.25)
    for finger in range(5):
        lean = (finger - 2) * spread + random.uniform(-0.05, 0.05)
        length = s.about([0.75, 1.0, 1.1, 1.0, 0.65][finger])
        x, y = (finger - 2) * 0.13, 0.25
        flesh = [(x, y), (x + np.sin(lean) * 1.35 * length, y - np.cos(lean) * 1.35 * length)]
        picture = np.maximum(picture, 0.35 * s.rod(flesh, 0.1, hollow=0, samples=2))
        for part in (0.5, 0.36, 0.24, 0.17):
            end = (x + np.sin(lean) * part * length, y - np.cos(lean) * part * length)
            picture = np.maximum(picture, 0.35 + 0.6 * s.rod([(x, y), end], 0.045, samples=2)) * (
                picture > 0
            ) + picture * (picture <= 0)
            x, y = end[0] + 0.02 * np.sin(lean), end[1] - 0.02
    for _ in range(8):
        picture = picture + 0.3 * s.ball(random.uniform(-0.22, 0.22), random.uniform(0.28, 0.5), 0.09, 0.08)
    for way in (-0.12, 0.12):
        picture = picture + 0.5 * s.rod([(way, 0.55), (way, 1.4)], 0.08, samples=2)
    picture = np.maximum(picture, 0.3 * s.rod([(0, 0.1), (0, 1.5)], 0.32, hollow=0, samples=2))
    return develop(random, picture + 0.02 * cloud(random, 0.04))


def long_bones(random: Random) -> Field:
    """A joint or a shaft: one or two pairs of long bones that meet (knee, elbow, ankle, hip, forearm)."""
    s = Sheet(random, turn=1.6, zoom=0.4)
    width, gap = s.about(0.17, 0.4), random.uniform(-0.3, 0.3)
    picture = random.uniform(0.3, 0.6) * s.rod(
        [(0, -2), (random.uniform(-0.2, 0.2), gap), (0, 2)], s.about(0.55, 0.3), hollow=0
    )
    picture = (
        picture
        + s.rod([(0.0, -2), (0, gap - 0.15)], width, samples=2)
        + 0.6 * s.ball(0, gap - 0.12, width * 1.7, 0.2)
    )
    if random.random() < 0.8:
        picture = (
            picture
            + s.rod([(0.0, gap + 0.2), (0, 2)], width * 0.9, samples=2)
            + 0.6 * s.ball(0, gap + 0.2, width * 1.8, 0.16)
        )
    if random.random() < 0.6:
        picture = picture + 0.7 * s.rod([(width * 2, gap + 0.3), (width * 1.9, 2)], width * 0.45, samples=2)
    if random.random() < 0.4:
        picture = picture + 0.5 * s.ball(0.02, gap - 0.15, width, width)
    return develop(random, np.maximum(picture + 0.03 * cloud(random, 0.04), 0))


def _column(s: Sheet, top: float, bottom: float, width: float, bow: float = 0.0) -> Field:
    step = s.about(0.2, 0.3)
    column = np.zeros_like(s.x)
    for y in np.arange(top, bottom, step):
        x = bow * np.sin(2.0 * y)
        body = s.disc(x, y, width, step * 0.42, power=4, soft=0.08)
        wings = 0.5 * s.rod([(x - 2 * width, y), (x + 2 * width, y)], step * 0.16, samples=2)
        column = np.maximum(column, np.maximum(body, wings))
    return column


def abdomen(random: Random) -> Field:
    """An abdomen or a pelvis from the front: lumbar spine, iliac wings, hips, gas in loops of bowel."""
    s = Sheet(random, zoom=0.3)
    low = random.uniform(-0.1, 0.9)
    picture = 0.8 * s.disc(0, 0, s.about(0.95), 1.6, power=3, soft=0.05) + 0.5 * _column(
        s, -1.2, low, s.about(0.13), 0.03
    )
    for way in (-1, 1):
        wing = s.ball(way * 0.48, low + 0.1, s.about(0.36), s.about(0.4), way * 0.5)
        hole = s.ball(0, low + 0.55, 0.36, 0.34)
        picture = (
            picture + 0.5 * wing * (1 - 0.9 * (hole > 0)) + 0.45 * s.ball(way * 0.62, low + 0.62, 0.16, 0.16)
        )
        picture = picture + 0.35 * s.rod(
            [(way * 0.62, low + 0.65), (way * 0.85, low + 0.75), (way * 0.8, low + 1.6)], 0.13
        )
        picture = picture + 0.3 * s.rod([(way * 0.05, low + 0.95), (way * 0.4, low + 0.8)], 0.08)
        for rib in range(3):
            y = -1.1 + 0.2 * rib
            picture = picture + 0.15 * s.rod(
                [(way * 0.12, y), (way * 0.6, y + 0.05), (way * 0.85, y + 0.35)], 0.05
            )
    for _ in range(int(random.integers(0, 14))):
        loop = s.ball(
            random.uniform(-0.7, 0.7),
            random.uniform(-0.9, 0.8),
            s.about(0.16, 0.6),
            s.about(0.11, 0.6),
            random.uniform(0, 3),
        )
        picture = picture - random.uniform(0.1, 0.35) * loop
    return develop(random, np.maximum(picture + 0.08 * cloud(random, 0.05), 0))


def spine(random: Random) -> Field:
    """A neck or a lumbar spine from the front or the side, filling the picture."""
    s = Sheet(random, turn=0.3, zoom=0.3)
    bow = random.uniform(-0.15, 0.15)
    picture = random.uniform(0.3, 0.9) * s.disc(0, 0, s.about(0.7, 0.4), 2.0, power=3, soft=0.06)
    picture = picture + random.uniform(0.4, 0.9) * _column(s, -1.4, 1.4, s.about(0.16, 0.4), bow)
    picture = picture + 0.2 * cloud(random, 0.08) * (picture > 0.3)
    if random.random() < 0.5:
        picture = picture + 0.7 * s.ball(random.uniform(-0.3, 0.3), -1.0, 0.5, 0.4)
    return develop(random, np.maximum(picture, 0))


def teeth(random: Random) -> Field:
    """A dental panorama: two rows of teeth in an arch, jaws, dark throat."""
    s = Sheet(random, zoom=0.3)
    smile = random.uniform(0.05, 0.3)
    curve = smile * (1 - s.x**2)
    picture = 0.35 + 0.35 * s.rod([(-0.95, -0.6), (-0.85, 1.1), (0.85, 1.1), (0.95, -0.6)], 0.25, hollow=0.2)
    for x in np.arange(-0.75, 0.8, s.about(0.115, 0.2)):
        y = smile * (1 - x * x) - 0.08
        for way in (-1, 1):
            picture = picture + 0.5 * s.rod(
                [(x, y + way * 0.06), (x * 0.97, y + way * s.about(0.36))], 0.055, hollow=0.25, samples=2
            )
    picture = picture - 0.3 * np.exp(-(((s.y - curve + 0.08) / 0.03) ** 2)) - 0.2 * s.ball(0, -0.6, 0.4, 0.2)
    return develop(random, picture + 0.06 * cloud(random, 0.04))


def breast(random: Random) -> Field:
    """A mammogram: half an oval against one edge, streaks of dense tissue, black around."""
    s = Sheet(random, bend=0.03)
    oval = s.ball(-1.05, 0, s.about(1.2), s.about(0.85))
    dense = s.ball(-0.7, 0.05, s.about(0.6), s.about(0.45)) * (0.6 + 0.5 * cloud(random, 0.03))
    return develop(random, np.maximum(0.5 * np.sqrt(oval) + 0.4 * dense, 0))


def vessels(random: Random) -> Field:
    """A subtraction angiogram: a branching dark tree on an even grey."""
    image = Image.new("L", (2 * SIDE, 2 * SIDE), 0)
    draw = ImageDraw.Draw(image)
    stack = [(random.uniform(0.2, 0.8) * 2 * SIDE, 2.0 * SIDE, -np.pi / 2, random.uniform(6, 14))]
    while stack:
        x, y, angle, width = stack.pop()
        length = random.uniform(2, 5) * width
        ends = (x + length * np.cos(angle), y + length * np.sin(angle))
        draw.line([(x, y), ends], fill=int(120 + 9 * width), width=max(1, int(width)))
        if width > 1.2:
            stack += [
                (*ends, angle + way * random.uniform(0.1, 0.7), width * random.uniform(0.65, 0.85))
                for way in (-1, 1)
            ]
    tree = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32) / 255
    picture = 0.7 - 0.6 * tree + 0.05 * cloud(random, 0.1)
    return stretched(picture if random.random() < 0.7 else 1 - picture)


def _lung_slice(s: Sheet, way: int, a: float, b: float) -> Field:
    lung = s.disc(way * s.about(0.42), random_about(s, 0.0, 0.06), a, b, power=2.4, soft=0.025)
    return lung * (1 - s.disc(0, 0.05, s.about(0.22, 0.3), s.about(0.5), soft=0.05))


def random_about(s: Sheet, value: float, spread: float) -> float:
    """A value at most `spread` away."""
    return float(value + s.random.uniform(-spread, spread))


def _window(
    random: Random, air: float, fat: float, soft: float, bone: float
) -> tuple[float, float, float, float]:
    """The greys of a lung, a soft-tissue or a bone window."""
    kind = random.integers(3)
    if kind == 0:
        return random.uniform(0.1, 0.4), 0.75, random.uniform(0.85, 1.0), 1.0
    if kind == 1:
        return 0.0, random.uniform(0.15, 0.35), random.uniform(0.45, 0.65), 1.0
    return air, fat, soft, bone


def axial_chest(random: Random) -> Field:
    """An axial CT slice of the chest: an oval body, two lungs, heart and aorta, a vertebra below, ribs around."""
    s = Sheet(random, turn=0.1, bend=0.03, zoom=0.15)
    air, fat, soft, bone = _window(random, 0.05, 0.3, 0.5, 0.9)
    a, b = s.about(0.88, 0.1), s.about(0.62, 0.15)
    body = s.disc(0, 0, a, b, power=2.3, soft=0.015)
    wall = s.disc(0, 0, a * 0.88, b * 0.86, power=2.3, soft=0.03)
    picture = body * (fat + (soft - fat) * wall)
    lung = np.maximum(_lung_slice(s, -1, a * 0.4, b * 0.74), _lung_slice(s, 1, a * 0.38, b * 0.74)) * body
    heart = s.disc(s.about(0.12), -0.05, s.about(0.32, 0.35), s.about(0.3, 0.3), soft=0.05) * (
        random.random() < 0.7
    )
    lung = lung * (1 - heart)
    fine = np.maximum(cloud(random, 0.012) - 1.2, 0) * random.uniform(0.2, 0.5)
    haze = np.clip(cloud(random, 0.06) - random.uniform(0.3, 2.0), 0, 1) * random.uniform(0.2, 0.9)
    inside = air + fine + (soft - air) * haze
    picture = picture * (1 - lung) + lung * inside
    vertebra = s.disc(0, b * 0.62, 0.13, 0.11, soft=0.08)
    picture = picture + (bone - soft) * np.maximum(
        vertebra, s.rod([(0, b * 0.7), (0, b * 0.92)], 0.04, hollow=0, samples=2)
    )
    picture = picture + (bone - soft) * s.disc(0.13, b * 0.4, 0.07, 0.07, soft=0.1) * random.uniform(0, 0.8)
    for angle in random.uniform(0, 2 * np.pi, 14):
        x, y = 0.86 * a * np.cos(angle), 0.84 * b * np.sin(angle)
        end = (0.86 * a * np.cos(angle + 0.25), 0.84 * b * np.sin(angle + 0.25))
        picture = picture + (bone - soft) * 0.8 * s.rod([(x, y), end], 0.035, hollow=0.3, samples=2)
    if random.random() < 0.5:
        table = np.abs(s.y - b - 0.08 + 0.15 * s.x**2)
        picture = np.maximum(picture, 0.35 * (table < 0.02))
    return _scanned(random, picture)


def axial_other(random: Random) -> Field:
    """An axial slice of abdomen or head, as CT or MR shows it."""
    s = Sheet(random, turn=0.2, bend=0.03, zoom=0.2)
    if random.random() < 0.5:
        a, b = s.about(0.6), s.about(0.75)
        ring = s.disc(0, 0, a, b, soft=0.02) - random.uniform(0.3, 1.0) * s.disc(
            0, 0, a * 0.9, b * 0.9, soft=0.02
        )
        brain = s.disc(0, 0, a * 0.87, b * 0.87, soft=0.03) * (
            0.45 + 0.12 * cloud(random, 0.02) + 0.05 * cloud(random, 0.1)
        )
        hollow = sum(
            s.ball(way * 0.1, random_about(s, -0.05, 0.1), 0.07, 0.24, -way * 0.3) for way in (-1, 1)
        )
        picture = np.maximum(ring, 0) + brain + random.choice([-0.35, 0.35]) * np.asarray(hollow)
    else:
        a, b = s.about(0.9, 0.1), s.about(0.66)
        picture = 0.25 * s.disc(0, 0, a, b, power=2.3, soft=0.02) + 0.2 * s.disc(
            0, 0, a * 0.88, b * 0.86, power=2.3, soft=0.03
        )
        for _ in range(int(random.integers(5, 12))):
            organ = s.disc(
                random.uniform(-0.6, 0.6),
                random.uniform(-0.4, 0.4),
                s.about(0.2, 0.6),
                s.about(0.16, 0.6),
                soft=0.06,
            )
            picture = picture * (1 - 0.7 * organ) + random.uniform(0.1, 0.55) * organ
        picture = picture + 0.5 * s.disc(0, b * 0.62, 0.13, 0.11, soft=0.08)
    return _scanned(random, picture)


def coronal_chest(random: Random) -> Field:
    """A coronal CT slice of the chest: sharply cut lungs without ribs over them, liver and spleen below."""
    s = Sheet(random, turn=0.06, bend=0.03, zoom=0.12)
    air, fat, soft, bone = _window(random, 0.05, 0.3, 0.5, 0.9)
    trunk = s.disc(0, 0.15, s.about(0.86, 0.08), 1.3, power=3, soft=0.02)
    neck = s.disc(0, -1.0, 0.25, 0.5, soft=0.05)
    picture = fat * np.maximum(trunk, neck) + (soft - fat) * s.disc(0, 0.2, 0.76, 1.3, power=3, soft=0.03)
    lung = np.zeros_like(picture)
    for way in (-1, 1):
        dome = s.about(0.4, 0.4) + 0.7 * (s.x - way * 0.42) ** 2
        shape = s.disc(way * 0.4, 0.05, s.about(0.33), s.about(0.85), power=2.4, soft=0.015)
        lung = np.maximum(lung, shape * (1 - s.below(dome, 0.01)))
    heart = s.ball(0.12, 0.2, s.about(0.3, 0.3), s.about(0.3)) > 0
    lung = lung * (1 - heart * (random.random() < 0.7))
    fine = np.maximum(cloud(random, 0.012) - 1.1, 0) * random.uniform(0.2, 0.5)
    haze = np.clip(cloud(random, 0.06) - random.uniform(0.3, 2.5), 0, 1) * random.uniform(0.2, 0.9)
    picture = picture * (1 - lung) + lung * (air + fine + (soft - air) * haze)
    if random.random() < 0.5:
        picture = picture + (bone - soft) * 0.8 * _column(s, -1.1, 1.2, 0.1)
    for rib in range(8):
        for way in (-1, 1):
            x, y = way * (0.5 + 0.28 * np.sin(0.35 * rib + 0.4)), -0.65 + 0.18 * rib
            picture = picture + (bone - soft) * s.disc(x, y, 0.035, 0.05, soft=0.2)
    return _scanned(random, picture)


def _scanned(random: Random, picture: Field) -> Field:
    """A slice as it is shown: grain of the reconstruction, sometimes letters in the corners."""
    picture = picture + random.uniform(0, 0.05) * cloud(random, 0.008)
    if random.random() < 0.6:
        # As figures of papers show them: cut to the body, so that nothing black is left around it.
        rows = slice(int(random.integers(0, 22)), SIDE - int(random.integers(0, 22)))
        columns = slice(int(random.integers(0, 14)), SIDE - int(random.integers(0, 14)))
        picture = np.asarray(Image.fromarray(picture[rows, columns].astype(np.float32)).resize((SIDE, SIDE)))
    return lettered(random, stretched(picture)) if random.random() < 0.4 else stretched(picture)


def ultrasound(random: Random) -> Field:
    """A sector of speckle with dark hollows on black."""
    s = Sheet(random, turn=0.1, bend=0.02)
    radius, angle = np.hypot(s.x, s.y + 1.05), np.abs(np.arctan2(s.x, s.y + 1.05))
    fan = (radius < 1.85) & (radius > random.uniform(0.0, 0.4)) & (angle < random.uniform(0.4, 0.8))
    if random.random() < 0.3:
        fan = (np.abs(s.x) < 0.8) & (np.abs(s.y) < 0.85)
    picture = 0.4 + 0.15 * cloud(random, 0.1) - 0.15 * radius
    for _ in range(int(random.integers(1, 6))):
        hollow = s.disc(
            random.uniform(-0.4, 0.4),
            random.uniform(-0.5, 0.7),
            s.about(0.2, 0.6),
            s.about(0.15, 0.6),
            soft=0.1,
        )
        picture = picture * (1 - random.uniform(-0.6, 0.9) * hollow)
    return stretched(picture * fan * (0.6 + 0.4 * np.abs(cloud(random, 0.008))))


def lettered(random: Random, picture: Field) -> Field:
    """A few short texts near the edges."""
    image = Image.fromarray((picture * 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.integers(1, 5))):
        at = (random.uniform(0, 0.8) * SIDE, random.choice([0.02, 0.06, 0.88, 0.93]) * SIDE)
        draw.text(
            at, " ".join(random.choice(WORDS, 2)), fill=int(random.choice([0, 255])), font=_font(random, 5, 9)
        )
    return np.asarray(image, dtype=np.float32) / 255


def _font(random: Random, low: int, high: int) -> Any:
    return ImageFont.load_default(int(random.integers(low, high + 1)))


def text_page(random: Random) -> Field:
    """A page or a part of one: lines of words, a heading, sometimes white on black."""
    scale = int(random.integers(2, 5))
    image = Image.new("L", (scale * SIDE, scale * SIDE), 255)
    draw = ImageDraw.Draw(image)
    size = int(random.integers(8, 26))
    font, margin = ImageFont.load_default(size), random.uniform(0.0, 0.15) * scale * SIDE
    y = margin
    while y < scale * SIDE - margin:
        words = " ".join(random.choice(WORDS, int(random.integers(2, 14))))
        if random.random() < 0.88:
            draw.text((margin, y), words, fill=int(random.integers(0, 90)), font=font)
        y += size * random.uniform(1.1, 1.7)
    page = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32) / 255
    return page if random.random() < 0.8 else 1 - page


def chart(random: Random) -> Field:
    """A diagram: axes, curves, bars or points."""
    image = Image.new("L", (2 * SIDE, 2 * SIDE), int(random.choice([255, 245, 20])))
    draw = ImageDraw.Draw(image)
    n = int(random.integers(4, 14))
    x = np.linspace(0.12, 0.95, n) * 2 * SIDE
    for _ in range(int(random.integers(1, 4))):
        y = (0.9 - 0.75 * random.random(n)) * 2 * SIDE
        grey, kind = int(random.integers(0, 200)), random.integers(3)
        if kind == 0:
            draw.line(list(zip(x, y, strict=True)), fill=grey, width=int(random.integers(1, 5)))
        elif kind == 1:
            for left, top in zip(x, y, strict=True):
                draw.rectangle([left - SIDE / n, top, left + 0.5 * SIDE / n, 0.9 * 2 * SIDE], fill=grey)
        else:
            for left, top in zip(x, y, strict=True):
                draw.ellipse([left - 4, top - 4, left + 4, top + 4], fill=grey)
    draw.line(
        [(0.1 * 2 * SIDE, 0.05 * SIDE), (0.1 * 2 * SIDE, 1.8 * SIDE), (1.95 * SIDE, 1.8 * SIDE)],
        fill=90,
        width=2,
    )
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32) / 255


def shapes(random: Random) -> Field:
    """A flat drawing, an icon or a logo: a few even shapes on an even ground."""
    image = Image.new("L", (2 * SIDE, 2 * SIDE), int(random.integers(0, 256)))
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.integers(1, 12))):
        a, b = np.sort(random.uniform(-0.2, 1.2, (2, 2)), axis=0) * 2 * SIDE
        box, grey = [*a, *b], int(random.integers(0, 256))
        kind = random.integers(4)
        if kind == 0:
            draw.ellipse(box, fill=grey)
        elif kind == 1:
            draw.rectangle(box, fill=grey)
        elif kind == 2:
            draw.polygon([tuple(point) for point in random.random((5, 2)) * 2 * SIDE], fill=grey)
        else:
            draw.text(
                (box[0], box[1]),
                str(random.choice(WORDS)),
                fill=grey,
                font=ImageFont.load_default(int(random.integers(14, 90))),
            )
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32) / 255


def noise(random: Random) -> Field:
    """Noise of any colour: white, coarse, salt and pepper, or clouds with the spectrum of a landscape."""
    kind = random.integers(4)
    if kind == 0:
        return stretched(random.normal(random.uniform(0.2, 0.8), random.uniform(0.05, 0.4), (SIDE, SIDE)))
    if kind == 1:
        return stretched(0.5 + random.uniform(0.08, 0.3) * cloud(random, random.uniform(0.005, 0.12)))
    if kind == 2:
        return (random.random((SIDE, SIDE)) < random.uniform(0.02, 0.98)).astype(np.float32)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None, :]) + 1 / SIDE
    spectrum = np.fft.fft2(random.standard_normal((SIDE, SIDE))) / frequency ** random.uniform(0.7, 2.2)
    field = np.fft.ifft2(spectrum).real
    return stretched(0.5 + random.uniform(0.1, 0.3) * field / field.std())


def pattern(random: Random) -> Field:
    """A gradient, stripes, a checker board, rings, or a test picture's steps."""
    s = Sheet(random, turn=3.2, bend=random.choice([0.0, 0.05]))
    kind, rate = random.integers(6), random.uniform(1, 14)
    if kind == 0:
        picture = 0.5 + 0.5 * s.x * random.uniform(0.1, 1.2)
    elif kind == 1:
        picture = 0.5 + 0.5 * np.sin(rate * s.x)
    elif kind == 2:
        picture = ((np.floor(rate * s.x) + np.floor(rate * s.y)) % 2).astype(np.float32)
    elif kind == 3:
        picture = 0.5 + 0.5 * np.cos(rate * np.hypot(s.x, s.y))
    elif kind == 4:
        picture = np.exp(-(np.hypot(s.x, s.y) ** 2) / random.uniform(0.1, 1.5))
    else:
        picture = np.floor((s.x + 1) * rate) / (2 * rate)
    low, high = np.sort(random.uniform(0, 1, 2))
    return stretched(low + max(high - low, 0.1) * picture + 0.01 * cloud(random, 0.02))
