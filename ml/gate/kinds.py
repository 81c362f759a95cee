"""The kinds of picture a gate must refuse, each with its class, its origin and the terms it may be used under."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from ml.gate import drawings
from ml.gate.drawings import SIDE, Field, Random, cloud, stretched

FRONTAL = "frontal"
#: In the order of the network's outputs. All but the first are refused.
CLASSES = (
    FRONTAL,
    "lateral",
    "turned_90",
    "turned_180",
    "turned_270",
    "tilted",
    "inverted",
    "part",
    "damaged",
    "other",
)
#: Tilted further than this a film is refused; up to `STRAIGHT` degrees it is let through.
TILTED, STRAIGHT = 30, 12


@dataclass(frozen=True)
class Material:
    """What pictures are made from: chest X-rays uint8 (n, SIDE, SIDE) of one side of the split, and photographs."""

    chests: np.ndarray
    photographs: list[Field]


Maker = Callable[[Material, Random], Field]


def chest(material: Material, random: Random) -> Field:
    """One chest X-ray, float32 (SIDE, SIDE) in 0..1."""
    return material.chests[random.integers(len(material.chests))].astype(np.float32) / 255


def resized(picture: Field, rows: int = SIDE, columns: int = SIDE) -> Field:
    """Stretched to that size."""
    image = Image.fromarray(np.ascontiguousarray(picture, dtype=np.float32))
    return np.clip(np.asarray(image.resize((columns, rows), Image.Resampling.BILINEAR)), 0, 1)


def _cut(picture: Field, random: Random, low: float, high: float) -> Field:
    """A piece whose sides are such shares of the whole's, enlarged to the whole's size."""
    rows, columns = (int(share * SIDE) for share in random.uniform(low, high, 2))
    top, left = random.integers(SIDE - rows + 1), random.integers(SIDE - columns + 1)
    return resized(picture[top : top + rows, left : left + columns])


def turned(quarters: int) -> Maker:
    """A chest turned by quarters of a circle, clockwise."""
    return lambda material, random: np.rot90(chest(material, random), -quarters)


def tilted(material: Material, random: Random) -> Field:
    angle = random.choice([-1, 1]) * random.uniform(TILTED, 60)
    mode = random.choice(["constant", "nearest"])
    return stretched(ndimage.rotate(chest(material, random), angle, reshape=False, order=1, mode=mode))


def inverted(material: Material, random: Random) -> Field:
    return 1 - chest(material, random)


def half_chest(material: Material, random: Random) -> Field:
    """One lung from the midline outwards over the whole picture, as near to a side view as a front view comes."""
    picture, middle = chest(material, random), int(SIDE * random.uniform(0.42, 0.58))
    side = picture[:, :middle] if random.random() < 0.5 else picture[:, middle:]
    side = resized(side[int(random.uniform(0, 0.15) * SIDE) :])
    if random.random() < 0.5:
        side = _bent(side, random, 0.05)
    return side if random.random() < 0.7 else side[:, ::-1]


def close_up(material: Material, random: Random) -> Field:
    return _cut(chest(material, random), random, 0.15, 0.52)


def strip(material: Material, random: Random) -> Field:
    """Only the upper, lower, left or right part of a chest, stretched over the picture."""
    picture, kept = chest(material, random), int(SIDE * random.uniform(0.25, 0.5))
    quarters = int(random.integers(4))
    return np.rot90(resized(np.rot90(picture, quarters)[:kept]), -quarters)


def covered(material: Material, random: Random) -> Field:
    """Most of a chest hidden under one grey."""
    picture, kept = chest(material, random).copy(), int(SIDE * random.uniform(0.1, 0.5))
    quarters = int(random.integers(4))
    np.rot90(picture, quarters)[kept:] = random.choice([0.0, 0.5, 1.0, random.random()])
    return picture


def blurred(material: Material, random: Random) -> Field:
    picture = ndimage.gaussian_filter(
        chest(material, random), random.uniform(0.11, 0.3) * SIDE, mode="nearest"
    )
    return picture if random.random() < 0.5 else _full_range(picture)


def _full_range(picture: Field) -> Field:
    return stretched((picture - picture.min()) / (np.ptp(picture) + 1e-6))


def drowned(material: Material, random: Random) -> Field:
    """Noise far above what is left of a chest."""
    weak = random.uniform(0.0, 0.12) * (chest(material, random) - 0.5)
    grain = random.choice([0.002, 0.006, 0.012])
    return stretched(random.uniform(0.3, 0.7) + weak + random.uniform(0.15, 0.35) * cloud(random, grain))


def scrambled(material: Material, random: Random) -> Field:
    """Tiles of a chest in a wrong order."""
    picture, count = chest(material, random), int(random.choice([2, 3, 4, 6, 8]))
    step = SIDE // count
    tiles = [picture[r : r + step, c : c + step] for r in range(0, SIDE, step) for c in range(0, SIDE, step)]
    order = random.permutation(len(tiles))
    if count == 2:
        order = np.array([[3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]][random.integers(3)])
    rows = [np.hstack([tiles[order[r * count + c]] for c in range(count)]) for r in range(count)]
    return np.vstack(rows)


def wrapped(material: Material, random: Random) -> Field:
    """Rows and columns shifted round, as of a file read with a wrong offset or width."""
    picture = chest(material, random)
    if random.random() < 0.5:
        return np.roll(picture, [int(SIDE * random.uniform(0.25, 0.75)) for _ in range(2)], axis=(0, 1))
    slip = random.choice([-1, 1]) * random.uniform(0.5, 3)
    return np.stack([np.roll(row, int(number * slip)) for number, row in enumerate(picture)])


def torn(material: Material, random: Random) -> Field:
    """A chest of which from some row on nothing is right: grey, repeated, noise, or the start again."""
    picture, row = chest(material, random).copy(), int(SIDE * random.uniform(0.1, 0.5))
    kind = random.integers(4)
    if kind == 0:
        picture[row:] = random.random()
    elif kind == 1:
        picture[row:] = picture[row]
    elif kind == 2:
        picture[row:] = random.random(picture[row:].shape)
    else:
        # Later than this, or nearly all of the second film would be there.
        row = int(SIDE * random.uniform(0.3, 0.6))
        picture[row:] = chest(material, random)[: SIDE - row]
    return picture


def warped(material: Material, random: Random) -> Field:
    """A chest bent until nothing is where it belongs."""
    return _bent(chest(material, random), random, random.uniform(0.13, 0.25))


def _bent(picture: Field, random: Random, reach: float) -> Field:
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    place = [axis + reach * SIDE * cloud(random, 0.12) for axis in (rows, columns)]
    return stretched(ndimage.map_coordinates(picture, place, order=1, mode="reflect"))


def mixed(material: Material, random: Random) -> Field:
    """Two pictures over each other, one of them turned, inverted or no chest at all."""
    first, second = chest(material, random), np.rot90(chest(material, random), int(random.integers(1, 4)))
    share = random.uniform(0.4, 0.6)
    if random.random() < 0.4 and material.photographs:
        # A film shines through a photograph more than the other way round.
        second, share = photograph(material, random), random.uniform(0.25, 0.45)
    elif random.random() < 0.3:
        mask = cloud(random, 0.12) > 0
        return np.where(mask, first, second)
    return stretched(share * first + (1 - share) * second)


def outline(material: Material, random: Random) -> Field:
    """Edges, a threshold or a few levels of a chest: a computed picture, not the film."""
    picture = chest(material, random)
    if random.random() < 0.5:
        edges = ndimage.gaussian_gradient_magnitude(picture, random.uniform(0.5, 1.5))
        picture = stretched(edges / (np.percentile(edges, 99) + 1e-6))
        return picture if random.random() < 0.5 else 1 - picture
    return (picture > np.percentile(picture, random.uniform(20, 80))).astype(np.float32)


def collage(material: Material, random: Random) -> Field:
    """Several films on one picture, with or without gaps."""
    rows, columns = [(1, 2), (2, 1), (2, 2), (1, 3), (2, 3), (3, 3), (3, 2), (4, 4)][random.integers(8)]
    side = int(np.ceil(SIDE / max(rows, columns))) * max(rows, columns)
    page = np.full((side, side), random.choice([0.0, 1.0, 0.5]), dtype=np.float32)
    gap = int(random.integers(0, 4))
    height, width = side // rows, side // columns
    for row in range(rows):
        for column in range(columns):
            film = resized(chest(material, random), height - gap, width - gap)
            page[
                row * height : row * height + height - gap, column * width : column * width + width - gap
            ] = film
    return resized(page)


def far_away(material: Material, random: Random) -> Field:
    """A film that fills only a small part of the picture, on an even or shaded ground."""
    page = np.clip(random.random() + random.uniform(0, 0.15) * cloud(random, 0.2), 0, 1).astype(np.float32)
    rows, columns = (int(share * SIDE) for share in random.uniform(0.12, 0.5, 2))
    top, left = random.integers(SIDE - rows + 1), random.integers(SIDE - columns + 1)
    page[top : top + rows, left : left + columns] = resized(chest(material, random), rows, columns)
    return page


def photograph_of_film(material: Material, random: Random) -> Field:
    """A film on a light box or a screen, photographed aslant: surroundings, glare, moire."""
    film = chest(material, random)
    if random.random() < 0.6:
        ground = np.clip(random.random() + 0.2 * cloud(random, 0.15), 0, 1).astype(np.float32)
    else:
        ground = photograph(material, random)
    corners = np.array([[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]], dtype=float)
    placed = (
        SIDE / 2
        + (corners - SIDE / 2) * random.uniform(0.45, 0.75)
        + random.uniform(-0.13, 0.13, (4, 2)) * SIDE
    )
    shown = Image.fromarray((film * 255).astype(np.uint8))
    coefficients = _perspective(placed, corners)
    laid = shown.transform((SIDE, SIDE), Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR)
    mask = Image.new("L", (SIDE, SIDE), 255).transform(
        (SIDE, SIDE), Image.Transform.PERSPECTIVE, coefficients
    )
    inside = np.asarray(mask, dtype=np.float32) / 255
    picture = (
        inside * np.asarray(laid, dtype=np.float32) / 255 * random.uniform(0.6, 1.0) + (1 - inside) * ground
    )
    if random.random() < 0.5:
        x, y = random.random(2) * SIDE
        rows, columns = np.mgrid[:SIDE, :SIDE]
        glare = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (random.uniform(0.05, 0.2) * SIDE) ** 2)
        picture = picture + random.uniform(0.2, 0.8) * glare
    if random.random() < 0.4:
        picture = picture + 0.08 * np.sin(
            np.add.outer(*(random.uniform(0.2, 2, 2)[:, None] * np.arange(SIDE)))
        )
    return stretched(picture)


def _perspective(to: np.ndarray, source: np.ndarray) -> list[float]:
    """The eight numbers of Pillow's transform that takes each point of `to` from the one of `source`."""
    rows, right = [], []
    for (x, y), (u, v) in zip(to, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return [float(value) for value in np.linalg.solve(np.array(rows), np.array(right))]


def screenshot(material: Material, random: Random) -> Field:
    """A program's window: bars, lists, buttons, and sometimes a film in one of its panels."""
    scale = 3
    side = scale * SIDE
    dark = random.random() < 0.5
    ground = int(random.integers(0, 60) if dark else random.integers(200, 256))
    image = Image.new("L", (side, side), ground)
    draw = ImageDraw.Draw(image)
    ink, panel = (220, ground + 25) if dark else (30, ground - 25)
    font = ImageFont.load_default(int(random.integers(9, 16)))
    bar, left = int(random.uniform(0.04, 0.12) * side), int(random.uniform(0.1, 0.35) * side)
    draw.rectangle([0, 0, side, bar], fill=panel)
    draw.rectangle([0, bar, left, side], fill=panel)
    for y in range(bar + 6, side, int(random.integers(14, 30))):
        draw.text((6, y), " ".join(random.choice(drawings.WORDS, 3)), fill=ink, font=font)
    draw.text((left, 4), " ".join(random.choice(drawings.WORDS, 5)), fill=ink, font=font)
    if random.random() < 0.6:
        rows, columns = (int(share * (side - left)) for share in random.uniform(0.45, 0.95, 2))
        film = (
            chest(material, random)
            if random.random() < 0.8 or not material.photographs
            else photograph(material, random)
        )
        picture = Image.fromarray((resized(film, rows, columns) * 255).astype(np.uint8))
        image.paste(picture, (left + int(random.integers(0, side - left - columns + 1)), bar + 4))
    else:
        for _ in range(int(random.integers(2, 9))):
            x, top = random.uniform(left, side), random.uniform(bar, side)
            draw.rectangle(
                [x, top, x + random.uniform(20, 120), top + random.uniform(8, 60)],
                fill=int(random.integers(0, 256)),
            )
            draw.text((x, top), str(random.choice(drawings.WORDS)), fill=ink, font=font)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32) / 255


def photograph(material: Material, random: Random) -> Field:
    """A piece of a photograph, turned, mirrored, its contrast changed."""
    whole = material.photographs[random.integers(len(material.photographs))]
    side = int(min(whole.shape) * random.uniform(0.2, 1.0))
    top, left = random.integers(whole.shape[0] - side + 1), random.integers(whole.shape[1] - side + 1)
    image = Image.fromarray(whole[top : top + side, left : left + side])
    piece = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0))
    piece = np.rot90(piece, int(random.choice([0, 0, 0, 1, 2, 3])))
    piece = piece[:, ::-1] if random.random() < 0.5 else piece
    piece = 1 - piece if random.random() < 0.15 else piece
    return stretched((piece - 0.5) * random.uniform(0.6, 1.6) + 0.5)


def drawn(draw: Callable[[Random], Field], *, film: bool) -> Maker:
    """A drawing; a `film` gets in part the grain, the greys, or the surroundings of a real one, lest drawing tell."""

    def make(material: Material, random: Random) -> Field:
        picture = draw(random)
        if not film:
            return picture
        real = chest(material, random)
        if random.random() < 0.5:
            picture = _greys_of(picture, real)
        if random.random() < 0.7:
            fine = real - ndimage.gaussian_filter(real, random.uniform(1, 4))
            picture = stretched(
                picture + random.uniform(0.3, 1.5) * np.roll(fine, random.integers(SIDE, size=2), axis=(0, 1))
            )
        if random.random() < 0.3:
            picture = stretched(picture * random.uniform(0.7, 0.9) + 0.25 * ndimage.gaussian_filter(real, 12))
        return picture

    return make


def _greys_of(picture: Field, other: Field) -> Field:
    """The picture with the other's distribution of greys."""
    result = np.empty(picture.size, dtype=np.float32)
    result[np.argsort(picture, axis=None)] = np.sort(other, axis=None)
    return result.reshape(picture.shape)


@dataclass(frozen=True)
class Kind:
    """`label`: of `CLASSES`. `family`: kinds alike; one of them left out of a training, all are."""

    name: str
    label: str
    family: str
    make: Maker
    origin: str
    licence: str


OURS = "drawn by this project", "Apache-2.0"
CHESTS = "made from the training images' chest X-rays", "as of those images"
PHOTOGRAPHS = (
    "photographs that scikit-learn, PyWavelets and Matplotlib ship",
    "CC BY 2.0 (scikit-learn), public domain (Matplotlib), as of PyWavelets (MIT)",
)


def _kinds() -> list[Kind]:
    made = [
        ("turned_90", "turned_90", "turned", turned(1)),
        ("turned_180", "turned_180", "turned", turned(2)),
        ("turned_270", "turned_270", "turned", turned(3)),
        ("tilted", "tilted", "turned", tilted),
        ("inverted", "inverted", "inverted", inverted),
        ("half_chest", "part", "part", half_chest),
        ("close_up", "part", "part", close_up),
        ("strip", "part", "part", strip),
        ("covered", "part", "part", covered),
        ("blurred", "damaged", "damaged", blurred),
        ("drowned_in_noise", "damaged", "damaged", drowned),
        ("scrambled", "damaged", "damaged", scrambled),
        ("wrapped", "damaged", "damaged", wrapped),
        ("torn", "damaged", "damaged", torn),
        ("warped", "damaged", "damaged", warped),
        ("mixed", "damaged", "damaged", mixed),
        ("outline", "damaged", "damaged", outline),
        ("collage", "other", "surrounded", collage),
        ("far_away", "other", "surrounded", far_away),
        ("photograph_of_film", "other", "surrounded", photograph_of_film),
        ("screenshot", "other", "surrounded", screenshot),
    ]
    films = [
        ("lateral", "lateral", "lateral", drawings.lateral_chest),
        ("skull", "other", "other_part", drawings.skull),
        ("hand", "other", "other_part", drawings.hand),
        ("long_bones", "other", "other_part", drawings.long_bones),
        ("abdomen", "other", "other_part", drawings.abdomen),
        ("spine", "other", "other_part", drawings.spine),
        ("teeth", "other", "other_part", drawings.teeth),
        ("breast", "other", "other_part", drawings.breast),
        ("vessels", "other", "other_part", drawings.vessels),
        ("ct_axial_chest", "other", "slices", drawings.axial_chest),
        ("ct_coronal_chest", "other", "slices", drawings.coronal_chest),
        ("slice_elsewhere", "other", "slices", drawings.axial_other),
        ("ultrasound", "other", "slices", drawings.ultrasound),
    ]
    flat = [
        ("text_page", "other", "graphics", drawings.text_page),
        ("chart", "other", "graphics", drawings.chart),
        ("shapes", "other", "graphics", drawings.shapes),
        ("noise", "other", "noise", drawings.noise),
        ("pattern", "other", "noise", drawings.pattern),
    ]
    return [
        *(Kind(name, label, family, make, *CHESTS) for name, label, family, make in made),
        *(Kind(name, label, family, drawn(draw, film=True), *OURS) for name, label, family, draw in films),
        *(Kind(name, label, family, drawn(draw, film=False), *OURS) for name, label, family, draw in flat),
        Kind("photograph", "other", "photograph", photograph, *PHOTOGRAPHS),
    ]


KINDS = {kind.name: kind for kind in _kinds()}
