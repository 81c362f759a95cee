"""How many chest X-rays a gate refuses wrongly, and how many of everything else it lets through."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.data.manifest import read_grey
from ml.data.split import TEST
from ml.evaluation.metrics import share
from ml.gate.drawings import SIDE, Field
from ml.gate.kinds import KINDS, Material
from ml.gate.pictures import PHANTOM, given_files, make_pictures, phantoms, photographs, to_bytes
from ml.imaging import ImageRefused, load_image
from ml.preprocessing import Preprocessing
from ml.serving.gate import REASONS, Gate

#: Pictures of each kind that a test makes, and the seed they come from; training has another.
OF_EACH_KIND, SEED = 100, 3
PHANTOMS = 60
#: What DICOM files of other modalities, and pictures of no X-ray, the installed packages ship for their own tests.
STRANGERS = {"pydicom": "data/test_files", "matplotlib": "mpl-data"}

HELD_OUT = "held_out.csv.gz"


class DataDiffersError(RuntimeError):
    """The data folder does not hold the images that the gate is to be measured on."""


def evaluate_gate(
    gate: Gate, rows: pd.DataFrame, data: Path, negatives: Path | None = None
) -> dict[str, Any]:
    """Measure `gate` on the test rows of its split, on pictures of every kind made from them, on what the installed
    packages ship, and on the images in `negatives`, a folder whose own folders are named after what is in them (of a
    gate that learned from such a folder, the fifth of the files that it did not see).

    Every share comes with its 95 % Wilson interval. Raises DataDiffersError where an image of `rows` is missing or
    altered.
    """
    rows = rows[rows["split"] == TEST]
    images = [_read(path, digest, data) for path, digest in zip(rows["path"], rows["sha256"], strict=True)]
    refused = [gate.refusal_of(image) for image in images]
    square = Preprocessing(size=SIDE).square
    material = Material(np.stack([to_bytes(square(image)) for image in images]), photographs(TEST))
    figures = {
        "frontal": wrongly_refused(rows["sources"].to_numpy(dtype=str), refused),
        PHANTOM: _refused_share([_of_bytes(gate, picture) for picture in phantoms(TEST, PHANTOMS)]),
        "kinds": made_kinds(gate, material, count=OF_EACH_KIND),
        "shipped_with_packages": _of_files(gate, _shipped()),
    }
    figures["other_than_frontal"] = _pooled(figures["kinds"].values())
    if negatives:
        folders = sorted(folder for folder in negatives.iterdir() if folder.is_dir())
        learned = bool(gate.card["training"]["given_negatives"])
        figures["negatives"] = {
            folder.name: _of_files(gate, given_files(folder, test=True) if learned else _files(folder))
            for folder in folders
        }
    return figures


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def wrongly_refused(sources: np.ndarray, refused: list[ImageRefused | None]) -> dict[str, Any]:
    """The share refused of chest X-rays, of all and of each source that an image, or its twin, is in."""
    each = sorted({name for names in sources for name in names.split()})
    hit = np.array([entry is not None for entry in refused])
    inside = {name: np.array([name in names.split() for names in sources]) for name in each}
    return {
        "all": _refused_share(refused),
        "by_source": {name: share(int(hit[inside[name]].sum()), int(inside[name].sum())) for name in each},
    }


def made_kinds(gate: Gate, material: Material, *, count: int) -> dict[str, Any]:
    """For each kind the share refused, and the share refused for the right reason."""
    pictures, names = make_pictures(list(KINDS.values()), material, count, seed=SEED)
    refused = [_of_bytes(gate, picture) for picture in pictures]
    result = {}
    for name in dict.fromkeys(names.tolist()):
        own = [entry for entry, kind in zip(refused, names, strict=True) if kind == name]
        right, details = REASONS[KINDS[name].label]
        sentence = [entry is not None and entry.code == right and _fits(entry, details) for entry in own]
        result[name] = {
            **_refused_share(own),
            "family": KINDS[name].family,
            "for_the_right_reason": share(sum(sentence), len(own)),
        }
    return result


def _fits(refused: ImageRefused, details: dict[str, int]) -> bool:
    return all(f" {value} " in str(refused) for value in details.values())


def _of_bytes(gate: Gate, square: np.ndarray) -> ImageRefused | None:
    return gate.refusal_of_square(square.astype(np.float32) / 255)


def _refused_share(refused: list[ImageRefused | None]) -> dict[str, Any]:
    codes = Counter(entry.code for entry in refused if entry is not None)
    return {"refused": share(sum(codes.values()), len(refused)), "codes": dict(codes.most_common())}


def _pooled(kinds: Iterable[dict[str, Any]]) -> dict[str, Any]:
    entries = [entry["refused"] for entry in kinds]
    return {"refused": share(sum(e["correct"] for e in entries), sum(e["total"] for e in entries))}


def _of_files(gate: Gate, files: list[Path]) -> dict[str, Any]:
    """What the gate says to those of the files that the pixel path reads; the path refuses the others itself."""
    refused, passed = [], []
    for path in files:
        try:
            pixels = _pixels(path)
        except ImageRefused:
            continue
        refused.append(gate.refusal_of(pixels))
        if refused[-1] is None:
            passed.append(path.name)
    return {**_refused_share(refused), "let_through": passed}


def _pixels(path: Path) -> Field:
    """A file's grey image as the portal reads it; of a colour raster its grey version, which is harder to refuse."""
    try:
        return load_image(path).pixels
    except ImageRefused as refused:
        if refused.code != "not_grey" or path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
            raise
        return read_grey(path.read_bytes())


def _shipped() -> list[Path]:
    import importlib.util

    files = []
    for package, folder in STRANGERS.items():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            files += sorted((Path(spec.origin).parent / folder).rglob("*"))
    return [path for path in files if path.suffix in (".dcm", ".png", ".jpg")]


def _read(path: str, digest: str, data: Path) -> Field:
    try:
        content = (data / path).read_bytes()
    except FileNotFoundError as error:
        raise DataDiffersError(f"The data folder holds no {path}.") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise DataDiffersError(f"{path} is not the file that the gate was measured on.")
    return read_grey(content)


def held_out_rows(folder: Path) -> pd.DataFrame:
    """The chest X-rays that the gate in `folder` was not trained on: path, sources, split, sha256."""
    return pd.read_csv(io.BytesIO(gzip.decompress((folder / HELD_OUT).read_bytes())), dtype=str)
