"""Run a served model over its stored split and measure it. What the card says can be measured again by
this.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from ml.data.manifest import read_grey
from ml.data.split import TEST, UNSEEN, load_split
from ml.evaluation.metrics import auroc, by_source, measure, share
from ml.serving.folder import SPLIT
from ml.serving.model import ServedModel


class DataDiffersError(RuntimeError):
    """The data folder does not hold the images that the model's figures were measured on."""


def evaluate(model: ServedModel, folder: Path, data: Path) -> dict[str, Any]:
    """Measure `model` on the test images and on the unseen source of the split stored in `folder`.

    Raises DataDiffersError if an image is missing or is not the file, byte for byte, that the split names.
    """
    rows = load_split(folder / SPLIT)
    return measure_rows(model, rows[rows["split"].isin([TEST, UNSEEN])].reset_index(drop=True), data)


def measure_rows(model: ServedModel, rows: pd.DataFrame, data: Path) -> dict[str, Any]:
    """The figures for rows of a split: `test`, and `unseen_source` where rows of it are given."""
    probabilities = predict_all(model, rows, data)
    test = (rows["split"] == TEST).to_numpy()
    truth, source = rows["label"].to_numpy(dtype=str), rows["source"].to_numpy(dtype=str)
    figures: dict[str, Any] = {"test": measure(truth[test], probabilities[test], model.labels)}
    predicted = np.array(model.labels)[probabilities.argmax(axis=1)]
    figures["test"]["by_source"] = by_source(source[test], truth[test], predicted[test])
    if (~test).any():
        figures["unseen_source"] = _unseen(truth[~test], predicted[~test], probabilities[~test], model.labels)
        figures["unseen_source"]["sources"] = sorted(set(source[~test]))
    return figures


def _unseen(
    truth: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray, labels: list[str]
) -> dict[str, Any]:
    """For each class that the unseen source holds: found how often, and told apart from all its other
    findings.
    """
    classes = {
        code: {
            "sensitivity": share(int((predicted[truth == code] == code).sum()), int((truth == code).sum())),
            "specificity": share(int((predicted[truth != code] != code).sum()), int((truth != code).sum())),
            "auroc_against_other_findings": auroc(truth == code, probabilities[:, number]),
        }
        for number, code in enumerate(labels)
        if (truth == code).any()
    }
    findings = {
        finding: {code: int((predicted[truth == finding] == code).sum()) for code in labels}
        for finding in sorted(set(truth))
    }
    return {"images": len(truth), "classes": classes, "findings_called": findings}


def predict_all(model: ServedModel, rows: pd.DataFrame, data: Path) -> np.ndarray:
    """Probabilities (n, n_classes) for the images that `rows` names by `path` and `sha256`. Raises
    DataDiffersError.
    """

    def read(row: tuple[str, str]) -> np.ndarray:
        path, digest = row
        try:
            content = (data / path).read_bytes()
        except FileNotFoundError as error:
            raise DataDiffersError(f"The data folder holds no {path}.") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise DataDiffersError(f"{path} is not the file that the model was measured on.")
        return read_grey(content)

    result = np.empty((len(rows), len(model.labels)))
    with ThreadPoolExecutor(2) as pool:
        images = pool.map(read, zip(rows["path"], rows["sha256"], strict=True))
        for number, pixels in enumerate(tqdm(images, total=len(rows), desc="measuring", unit="image")):
            result[number] = list(model.predict(pixels).probabilities.values())
    return result
