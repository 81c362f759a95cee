"""Run a served model over its stored split and measure it. What the card says can be measured again by
this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from ml.data.manifest import read_grey
from ml.data.split import AUXILIARY, TEST, UNSEEN, VALIDATION, load_split
from ml.evaluation import conformal, operating_points
from ml.evaluation.calibration import calibration_figures, probabilities_at
from ml.evaluation.curves import average_precision, precision_recall_points, roc_points
from ml.evaluation.metrics import auroc, by_group, measure, share
from ml.serving.folder import SPLIT
from ml.serving.model import ServedModel
from ml.serving.possible import PossibleLabels

CARD_FORMAT = 2
MEASURED = (VALIDATION, TEST, AUXILIARY + TEST, UNSEEN)
# Read ahead of the network, so that a slow network does not fill the memory with images.
AHEAD = 32


class DataDiffersError(RuntimeError):
    """The data folder does not hold the images that the model's figures were measured on."""


@dataclass(frozen=True)
class Answers:
    """What a model says about the images of some rows of its split: `logits` and `probabilities` (n, n_classes), and
    `novelty` (n,), NaN for a model that has no such check.
    """

    rows: pd.DataFrame
    labels: list[str]
    logits: np.ndarray
    probabilities: np.ndarray
    novelty: np.ndarray

    def on(self, side: str) -> Answers:
        """The answers on one side of the split."""
        inside = (self.rows["split"] == side).to_numpy()
        parts = (part[inside] for part in (self.logits, self.probabilities, self.novelty))
        return Answers(self.rows[inside], self.labels, *parts)

    @property
    def truth(self) -> np.ndarray:
        """Class codes or findings (n,)."""
        return self.rows["label"].to_numpy(dtype=str)

    @property
    def numbers(self) -> np.ndarray:
        """Class numbers (n,) in the order of the labels. Raises ValueError for a finding that is no label."""
        return np.array([self.labels.index(code) for code in self.truth], dtype=int)

    @property
    def called(self) -> np.ndarray:
        """The code of the highest probability (n,)."""
        return np.array(self.labels)[self.probabilities.argmax(axis=1)]


def ask(model: ServedModel, folder: Path, data: Path) -> Answers:
    """Ask `model` about every image of the split stored in `folder` that it was not trained on.

    Raises DataDiffersError if an image is missing or is not the file, byte for byte, that the split names.
    """
    rows = load_split(folder / SPLIT)
    rows = rows[rows["split"].isin(MEASURED)].reset_index(drop=True)
    return Answers(rows, model.labels, *predict_all(model, rows, data))


def read_images(rows: pd.DataFrame, data: Path) -> Iterator[np.ndarray]:
    """The images that `rows` names by `path` and `sha256`, grey (rows, columns) in 0..1. Raises
    DataDiffersError.
    """

    def read(path: str, digest: str) -> np.ndarray:
        try:
            content = (data / path).read_bytes()
        except FileNotFoundError as error:
            raise DataDiffersError(f"The data folder holds no {path}.") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise DataDiffersError(f"{path} is not the file that the model was measured on.")
        return read_grey(content)

    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(rows), AHEAD):
            some = rows.iloc[start : start + AHEAD]
            yield from pool.map(read, some["path"], some["sha256"])


def predict_all(
    model: ServedModel, rows: pd.DataFrame, data: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits and probabilities, each (n, n_classes), and novelty (n,), for the images of `rows`. Raises
    DataDiffersError. No image is refused here: a figure over those let through alone would flatter.
    """
    logits, probabilities = (np.empty((len(rows), len(model.labels))) for _ in range(2))
    novelty = np.full(len(rows), np.nan)
    images = tqdm(read_images(rows, data), total=len(rows), desc="measuring", unit="image")
    for number, pixels in enumerate(images):
        output = model.predict(pixels)
        probabilities[number] = list(output.probabilities.values())
        logits[number] = output.maps.mean(axis=(1, 2), dtype=np.float64)
        if output.novelty is not None:
            novelty[number] = output.novelty
    return logits, probabilities, novelty


def decide(answers: Answers, temperature: float) -> dict[str, Any]:
    """What is chosen on the validation split alone: the card's blocks `calibration`, `operating_points` and
    `conformal`, without any figure of how well that does. `temperature` is the one folded into the network.
    """
    validation = answers.on(VALIDATION)
    truth, probabilities = validation.truth, validation.probabilities
    return {
        "calibration": {"method": "temperature", "temperature": temperature, "fitted_on": VALIDATION},
        "operating_points": operating_points.choose(truth, probabilities, answers.labels),
        "conformal": {
            "method": "split conformal, least ambiguous sets, a threshold for each class",
            "alpha": conformal.ALPHA,
            "thresholds": conformal.thresholds(truth, probabilities, answers.labels),
            "calibrated_on": VALIDATION,
        },
    }


def evaluate(answers: Answers, card: dict[str, Any]) -> dict[str, Any]:
    """The card's blocks `metrics`, `calibration`, `operating_points` and `conformal`: what was decided, applied
    and measured. Nothing is chosen here.
    """
    validation, test = answers.on(VALIDATION), answers.on(TEST)
    sides = {VALIDATION: validation, TEST: test}
    temperature = card["calibration"]["temperature"]
    rule = PossibleLabels(card["conformal"]["thresholds"], card["conformal"]["alpha"])
    return {
        "metrics": _metrics(answers, rule),
        "calibration": {
            **{key: card["calibration"][key] for key in ("method", "temperature", "fitted_on")},
            **{side: _calibration(part, temperature) for side, part in sides.items()},
        },
        "operating_points": [
            {
                **{key: point[key] for key in ("label", "aim", "at_least", "threshold", "chosen_on")},
                **{side: _at_threshold(part, point) for side, part in sides.items()},
            }
            for point in card["operating_points"]
        ],
        "conformal": {
            **{key: card["conformal"][key] for key in ("method", "alpha", "thresholds", "calibrated_on")},
            **{
                side: conformal.conformal_figures(part.truth, part.probabilities, part.labels, rule)
                for side, part in sides.items()
            },
        },
    }


def _calibration(side: Answers, temperature: float) -> dict[str, Any]:
    # What the network said before the temperature was folded into it.
    before = probabilities_at(side.logits, 1 / temperature)
    return {
        "before": calibration_figures(before, side.numbers, side.labels),
        "after": calibration_figures(side.probabilities, side.numbers, side.labels),
    }


def _at_threshold(side: Answers, point: dict[str, Any]) -> dict[str, Any]:
    score = side.probabilities[:, side.labels.index(point["label"])]
    return operating_points.counts_at(point["threshold"], side.truth == point["label"], score)


def _metrics(answers: Answers, rule: PossibleLabels) -> dict[str, Any]:
    validation, test = answers.on(VALIDATION), answers.on(TEST)
    figures: dict[str, Any] = {
        "validation": {
            "accuracy": share(int((validation.called == validation.truth).sum()), len(validation.rows))
        },
        "test": measure(test.truth, test.probabilities, test.labels),
    }
    for number, (code, entry) in enumerate(figures["test"]["classes"].items()):
        is_it, score = test.truth == code, test.probabilities[:, number]
        entry["average_precision"] = average_precision(is_it, score)
        entry["roc"] = roc_points(is_it, score)
        entry["precision_recall"] = precision_recall_points(is_it, score)
        if code != operating_points.NORMAL:
            entry["read_off_at_98_specificity"] = operating_points.read_off(0.98, is_it, score)
    for name, column in (("by_source", "source"), ("by_age_group", "age_group")):
        group = test.rows[column].replace("", "unknown").to_numpy(dtype=str)
        figures["test"][name] = by_group(group, test.truth, test.called)
    figures["test"]["unfamiliar"] = _unfamiliar(test)
    others = answers.on(AUXILIARY + TEST)
    if len(others.rows):
        figures["other_findings"] = _other_findings(others, rule)
    unseen = answers.on(UNSEEN)
    if len(unseen.rows):
        figures["unseen_source"] = _unseen(unseen, rule)
    return figures


def _called(side: Answers) -> dict[str, dict[str, int]]:
    return {
        finding: {code: int((side.called[side.truth == finding] == code).sum()) for code in side.labels}
        for finding in sorted(set(side.truth))
    }


def _unsure(side: Answers, rule: PossibleLabels) -> dict[str, Any]:
    sets = conformal.possible_sets(side.probabilities, side.labels, rule)
    return share(int((sets.sum(axis=1) > 1).sum()), len(sets))


def _unfamiliar(side: Answers) -> dict[str, Any] | None:
    """How many of the images would be refused as unlike all that the model was trained on; they are counted in
    every other figure. None for a model without that check.
    """
    if np.isnan(side.novelty).any():
        return None
    return share(int((side.novelty > 1).sum()), len(side.novelty))


def _other_findings(side: Answers, rule: PossibleLabels) -> dict[str, Any]:
    """Images of the test side whose finding is none of the labels: whatever is called, it is wrong."""
    return {
        "images": len(side.rows),
        "findings_called": _called(side),
        "unsure": _unsure(side, rule),
        "unfamiliar": _unfamiliar(side),
    }


def _unseen(side: Answers, rule: PossibleLabels) -> dict[str, Any]:
    """For each class that the unseen source holds: found how often, and told apart from all its other
    findings.
    """
    truth, called = side.truth, side.called
    classes = {
        code: {
            "sensitivity": share(int((called[truth == code] == code).sum()), int((truth == code).sum())),
            "specificity": share(int((called[truth != code] != code).sum()), int((truth != code).sum())),
            "auroc_against_other_findings": auroc(truth == code, side.probabilities[:, number]),
        }
        for number, code in enumerate(side.labels)
        if (truth == code).any()
    }
    return {
        "sources": sorted(set(side.rows["source"])),
        "images": len(truth),
        "classes": classes,
        "findings_called": _called(side),
        "unsure": _unsure(side, rule),
        "unfamiliar": _unfamiliar(side),
    }
