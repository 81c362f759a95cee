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
from ml.data.importers import SOURCES
from ml.preprocessing import Preprocessing


def read_grey(data: bytes) -> np.ndarray:
    """An 8-bit raster of a research set as float32 (rows, columns) in 0..1: value / 255, as `ml.imaging`
    gives it.
    """
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L"), dtype=np.float32) / 255


def list_images(data: Path, sources: list[str]) -> pd.DataFrame:
    """All images of the named sources, unread: the importers' columns."""
    return pd.concat([SOURCES[source].read(data) for source in sources], ignore_index=True)


def add_hashes(images: pd.DataFrame, data: Path, workers: int = 2) -> pd.DataFrame:
    """Read every file once and add `sha256` (of its bytes), `dhash`, `image` (files of one image share it)
    and `group`.
    """

    def hashes(path: str) -> tuple[str, str]:
        content = (data / path).read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            return hashlib.sha256(content).hexdigest(), difference_hash(image)

    with ThreadPoolExecutor(workers) as pool:
        found = list(tqdm(pool.map(hashes, images["path"]), total=len(images), desc="hashing", unit="image"))
    manifest = images.assign(sha256=[sha for sha, _ in found], dhash=[dhash for _, dhash in found])
    return manifest.assign(image=number_copies(manifest), group=number_groups(manifest))


def load_squares(paths: list[str], data: Path, preprocessing: Preprocessing, workers: int = 2) -> np.ndarray:
    """The images as the network's squares: uint8 (n, size, size).

    Eight bits hold a research set of 15,000 images in 400 MB; they differ from the served float path by at
    most half a grey level, and every published figure is measured on the float path.
    """

    def square(path: str) -> np.ndarray:
        return np.rint(preprocessing.square(read_grey((data / path).read_bytes())) * 255).astype(np.uint8)

    with ThreadPoolExecutor(workers) as pool:
        return np.stack(list(tqdm(pool.map(square, paths), total=len(paths), desc="reading", unit="image")))
