"""The X-rays with radiologists' outlines, and which of them a model's training has seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ml.data.importers import SOURCES, covid_segmentation
from ml.data.manifest import add_hashes, read_grey
from ml.data.split import TRAIN, VALIDATION, load_split
from ml.evaluation.evaluate import DataDiffersError
from ml.serving.folder import SPLIT

FOLDER = "covid-segmentation"


@dataclass(frozen=True)
class Cases:
    """`pixels`: the grey images, (rows, columns) in 0..1. `lesions`, `lungs`: bool (n, 224, 224), the outlines over
    the image stretched to a square. `findings`: the publisher's, empty where unknown. `groups`: near-twins and images
    of one patient share a number. `seen`: whether training or validation held the image, a near-twin of it, or another
    image of its patient.
    """

    names: list[str]
    pixels: list[np.ndarray]
    lesions: np.ndarray
    lungs: np.ndarray
    findings: list[str]
    groups: np.ndarray
    seen: np.ndarray

    def __len__(self) -> int:
        return len(self.names)


def read_cases(data: Path, split: Path | None = None) -> Cases:
    """The outlined cases in `data`. `split`: the folder of a model, whose training images are compared with them.

    Raises FileNotFoundError without the outlines, DataDiffersError if a training image is not there.
    """
    rows = covid_segmentation(data)
    if not (data / FOLDER / "lesions").is_dir():
        raise FileNotFoundError(f"{data} holds no {FOLDER}/lesions/ with outlines of the lesions.")
    groups, seen = _groups(rows, data, split)
    names = [Path(path).stem for path in rows["path"]]
    return Cases(
        names=names,
        pixels=[read_grey((data / path).read_bytes()) for path in rows["path"]],
        lesions=_outlines(data / FOLDER / "lesions", names),
        lungs=_outlines(data / FOLDER / "lungs", names),
        findings=rows["label"].tolist(),
        groups=groups,
        seen=seen,
    )


def _outlines(folder: Path, names: list[str]) -> np.ndarray:
    return np.stack([read_grey((folder / f"{name}.png").read_bytes()) > 0.5 for name in names])


def _groups(cases: pd.DataFrame, data: Path, folder: Path | None) -> tuple[np.ndarray, np.ndarray]:
    rows = cases.assign(learnt=False)
    if folder is not None:
        split = load_split(folder / SPLIT)
        # The sides of images that only helped in training bear a word before.
        learnt = split[split["split"].str.split().str[-1].isin([TRAIN, VALIDATION])]
        known = pd.concat(
            [SOURCES[source].read(data) for source in learnt["source"].unique()], ignore_index=True
        )
        missing = set(learnt["path"]) - set(known["path"])
        if missing:
            raise DataDiffersError(f"The data folder holds no {min(missing)}.")
        known = known[known["path"].isin(learnt["path"])].assign(learnt=True)
        rows = pd.concat([rows, known], ignore_index=True)
    manifest = add_hashes(rows, data)
    own = manifest["group"].to_numpy()[: len(cases)]
    return own, np.isin(own, manifest.loc[manifest["learnt"], "group"])
