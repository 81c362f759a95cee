"""What a gate learns from and is tried on: chest X-rays split by duplicate group, and pictures of every other kind."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ml.data.importers import SOURCES
from ml.data.manifest import UnreadableImageError, add_hashes, list_images, load_squares, read_grey
from ml.data.split import TEST, TRAIN, VALIDATION, split
from ml.gate.drawings import SIDE, SIZE, Field
from ml.gate.kinds import CHESTS, CLASSES, KINDS, Kind, Material
from ml.phantom import Variant, draw_chest
from ml.preprocessing import Preprocessing

log = logging.getLogger(__name__)

#: Which photographs are cut up for training; the others are for the validation and the test.
TRAINING_PHOTOGRAPHS = ("china", "flower", "aero", "Minduka_Present_Blue_Pack")
#: Drawn chests of the demonstration: their seeds start here for each side, so that no side sees another's.
PHANTOM_SEEDS = {TRAIN: 100_000, VALIDATION: 200_000, TEST: 300_000}
PHANTOM = "phantom"
#: Pictures of each kind in a training.
OF_EACH_KIND, OF_EACH_LIKE_A_FILM = 300, 900


def frontal_images(data: Path, *, seed: int) -> pd.DataFrame:
    """One row for each different frontal X-ray under `data`, with its `split`: whole groups of near-twins and of
    one patient's images on one side. `sources` are all the sets that the image or a twin of it is in.

    Raises FileNotFoundError where `data` holds none of the publishers' folders.
    """
    names = [name for name, source in SOURCES.items() if (data / source.folder).is_dir()]
    if not names:
        raise FileNotFoundError(f"{data} holds none of the publishers' folders.")
    listed = list_images(data, names)
    return split_frontal(
        add_hashes(listed[listed["view"] == "frontal"].reset_index(drop=True), data), seed=seed
    )


def split_frontal(manifest: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """`frontal_images`, from a manifest."""
    sources = manifest.groupby("group")["source"].agg(lambda names: " ".join(sorted(set(names))))
    rows = manifest[~manifest["image"].duplicated()].reset_index(drop=True)
    return rows.assign(
        sources=rows["group"].map(sources), split=split(rows.assign(label="frontal"), seed=seed)
    )


def load_chests(rows: pd.DataFrame, data: Path) -> np.ndarray:
    """The images of the rows as uint8 (n, SIDE, SIDE): what pictures of other kinds are made from."""
    return load_squares(rows["path"].tolist(), data, Preprocessing(size=SIDE))


def small(pictures: np.ndarray) -> np.ndarray:
    """Pictures uint8 (n, rows, columns) as the gate's squares, uint8 (n, SIZE, SIZE)."""
    square = Preprocessing(size=SIZE).square
    return np.stack([to_bytes(square(picture.astype(np.float32) / 255)) for picture in pictures])


def to_bytes(picture: Field) -> np.ndarray:
    """0..1 as uint8."""
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def phantoms(side: str, count: int) -> np.ndarray:
    """Drawn chests of the demonstration, all variants in turn, in several proportions: uint8 (count, SIZE, SIZE)."""
    square, variants = Preprocessing(size=SIZE).square, list(Variant)
    shapes = [(160, 160), (192, 160), (160, 190), (256, 240)]
    return np.stack(
        [
            to_bytes(
                square(
                    draw_chest(PHANTOM_SEEDS[side] + n, variant=variants[n % 3], rows=rows, columns=columns)
                )
            )
            for n in range(count)
            for rows, columns in [shapes[n % len(shapes)]]
        ]
    )


def photographs(side: str) -> list[Field]:
    """The installed photographs of that side of the split, float32 (rows, columns) in 0..1."""
    found = _installed_photographs()
    if not found:
        log.warning("No photographs are installed: the gate is trained and tried without any.")
    return [picture for name, picture in found.items() if (name in TRAINING_PHOTOGRAPHS) == (side == TRAIN)]


def _installed_photographs() -> dict[str, Field]:
    found: dict[str, Field] = {}
    files = [path for package in ("matplotlib", "sklearn") for path in _package_files(package)]
    for path in files:
        if path.suffix in (".jpg", ".png") and path.parent.name in ("sample_data", "images"):
            with Image.open(path) as image:
                if path.stem != "logo2" and min(image.size) > 2 * SIDE:
                    found[path.stem] = np.asarray(image.convert("L"), dtype=np.float32) / 255
    for path in _package_files("pywt"):
        if path.stem in ("aero", "ascent", "camera") and path.suffix == ".npz":
            found[path.stem] = np.asarray(np.load(path)["data"], dtype=np.float32) / 255
    return dict(sorted(found.items()))


def _package_files(package: str) -> list[Path]:
    import importlib.util

    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return []
    folders = {"matplotlib": "mpl-data/sample_data", "sklearn": "datasets/images", "pywt": "data"}
    return sorted((Path(spec.origin).parent / folders[package]).glob("*"))


def make_pictures(
    kinds: Sequence[Kind], material: Material, count: int, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """`count` pictures of each kind, uint8 (n, SIZE, SIZE), and the name of each one's kind (n,).

    Each picture depends on the seed, its kind and its number alone. Kinds that want photographs are left out,
    with a warning, where there are none.
    """
    square = Preprocessing(size=SIZE).square
    pictures, names = [], []
    for kind in kinds:
        if kind.family == "photograph" and not material.photographs:
            log.warning("No pictures of the kind %s: there are no photographs.", kind.name)
            continue
        for number in range(count):
            random = np.random.default_rng([seed, zlib.crc32(kind.name.encode()), number])
            pictures.append(
                to_bytes(square(np.ascontiguousarray(kind.make(material, random), dtype=np.float32)))
            )
            names.append(kind.name)
    return np.stack(pictures), np.array(names)


def training_pictures(
    kinds: Sequence[Kind], material: Material, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """`make_pictures` in the numbers that a training wants: more of what is made of a film and easily taken for one."""
    like_films = [
        kind for kind in kinds if kind.origin == CHESTS[0] and kind.family not in ("turned", "inverted")
    ]
    parts = [
        make_pictures(like_films, material, OF_EACH_LIKE_A_FILM, seed=seed) if like_films else None,
        make_pictures([kind for kind in kinds if kind not in like_films], material, OF_EACH_KIND, seed=seed),
    ]
    found = [part for part in parts if part is not None]
    return np.concatenate([pictures for pictures, _ in found]), np.concatenate([names for _, names in found])


def labels_of(names: np.ndarray) -> np.ndarray:
    """The class number of each kind named."""
    return np.array([CLASSES.index(KINDS[name].label) for name in names], dtype=np.int32)


def given_files(negatives: Path, *, test: bool) -> list[Path]:
    """The files in a folder of negatives that a training, or the test of a gate so trained, may use: told apart by
    their content, so that a copy falls on the same side.
    """
    files = sorted(path for path in negatives.rglob("*") if path.is_file())
    return [path for path in files if (zlib.crc32(path.read_bytes()) % 5 == 0) == test]


def given_pictures(negatives: Path) -> np.ndarray:
    """The training's share of a folder of negatives, uint8 (n, SIZE, SIZE). Raises UnreadableImageError."""
    square = Preprocessing(size=SIZE).square
    found = []
    for path in given_files(negatives, test=False):
        try:
            found.append(to_bytes(square(read_grey(path.read_bytes()))))
        except OSError as error:
            raise UnreadableImageError(f"{path} cannot be read as an image: {error}.") from error
    return np.stack(found)
