"""The manifest: one row for each image, with what a split needs to know about it."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from ml.data.duplicates import difference_hash, number_copies, number_groups
from ml.data.importers import COLUMNS, SOURCES, folder_per_class, table
from ml.preprocessing import Preprocessing

# Pillow cuts deeper samples off at 255 when it converts them, and the picture would be white.
EIGHT_BIT_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}


class UnreadableImageError(ValueError):
    """A file of a data folder is no 8-bit image; the text names it and is for the person at the shell."""


def read_grey(data: bytes) -> np.ndarray:
    """An 8-bit raster of a research set as float32 (rows, columns) in 0..1: value / 255, as `ml.imaging`
    gives it.
    """
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L"), dtype=np.float32) / 255


def list_images(data: Path, sources: list[str]) -> pd.DataFrame:
    """All images of the named sources, unread: the importers' columns."""
    return pd.concat([SOURCES[source].read(data) for source in sources], ignore_index=True)


def find_images(data: Path) -> tuple[pd.DataFrame, Path]:
    """All images that lie in `data`, unread, and the folder that their paths are relative to.

    `data` may be a folder that holds any of the publishers' folders, a folder with one folder for each
    class, or a CSV table (see `ml.data.importers`). Raises FileNotFoundError or ValueError with a sentence.
    """
    if data.is_file():
        return table(data), data.parent
    if not data.is_dir():
        raise FileNotFoundError(f"There is no folder and no table {data}.")
    names = [name for name, source in SOURCES.items() if (data / source.folder).is_dir()]
    itself = [source.folder for source in SOURCES.values() if source.folder == data.resolve().name]
    if not names and itself:
        raise FileNotFoundError(
            f"{data} is the publisher's folder {itself[0]}. Give the folder that {itself[0]} lies in."
        )
    return (list_images(data, names) if names else folder_per_class(data)), data


def add_hashes(images: pd.DataFrame, data: Path, workers: int = 2) -> pd.DataFrame:
    """The manifest: read every file once and add what a split needs. Training and `python -m ml data build`
    both come here.

    Added columns: `sha256` of the file's bytes, `dhash` (256-bit perceptual hash, hexadecimal), `width` and
    `height` in pixels, `image` (files that show the same image share the number) and `group` (the duplicate
    group: near-twins and all images of a patient, taken transitively, which a split must not part). Raises
    UnreadableImageError, which names the file, for one that is no image of 8 bits.
    """

    def describe(path: str) -> tuple[str, str, int, int]:
        content = (data / path).read_bytes()
        try:
            with Image.open(io.BytesIO(content)) as image:
                if image.mode not in EIGHT_BIT_MODES:
                    raise UnreadableImageError(
                        f"{path} has samples of more than 8 bits (mode {image.mode}). Convert it to 8 bits first."
                    )
                return hashlib.sha256(content).hexdigest(), difference_hash(image), *image.size
        except (OSError, Image.DecompressionBombError) as error:
            raise UnreadableImageError(f"{path} cannot be read as an image: {error}.") from error

    with ThreadPoolExecutor(workers) as pool:
        found = list(
            tqdm(pool.map(describe, images["path"]), total=len(images), desc="hashing", unit="image")
        )
    described = pd.DataFrame(found, columns=["sha256", "dhash", "width", "height"], index=images.index)
    manifest = pd.concat([images, described], axis=1)
    return manifest.assign(image=number_copies(manifest), group=number_groups(manifest))


def write_manifest(manifest: pd.DataFrame, path: Path) -> None:
    """Write as Parquet, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"tmp-{path.name}")
    manifest.to_parquet(temporary, index=False)
    temporary.replace(path)


def read_manifest(path: Path) -> pd.DataFrame:
    """Read what `write_manifest` wrote. Raises ValueError if a column is missing."""
    manifest = pd.read_parquet(path)
    missing = {*COLUMNS, "sha256", "dhash", "image", "group"} - set(manifest.columns)
    if missing:
        raise ValueError(f"{path.name} is no manifest: it has no column {', '.join(sorted(missing))}.")
    return manifest


def load_squares(paths: list[str], data: Path, preprocessing: Preprocessing, workers: int = 2) -> np.ndarray:
    """The images as the network's squares: uint8 (n, size, size).

    Eight bits hold a research set of 15,000 images in 400 MB; they differ from the served float path by at
    most half a grey level, and every published figure is measured on the float path.
    """

    def square(path: str) -> np.ndarray:
        return np.rint(preprocessing.square(read_grey((data / path).read_bytes())) * 255).astype(np.uint8)

    with ThreadPoolExecutor(workers) as pool:
        return np.stack(list(tqdm(pool.map(square, paths), total=len(paths), desc="reading", unit="image")))
