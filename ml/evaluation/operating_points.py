"""Thresholds on one class's probability, chosen on the validation split and then only applied."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import roc_curve

from ml.evaluation.metrics import share

# No disease, so nothing that a threshold would be set to find.
NORMAL = "normal"
AIMS = (("specificity", 0.98), ("sensitivity", 0.95))


def threshold_for(aim: str, at_least: float, is_positive: np.ndarray, score: np.ndarray) -> float:
    """The threshold that reaches `at_least` of the `aim` (`sensitivity` or `specificity`) on these images, and
    most of the other; an image is positive if its score is at or above it.

    `is_positive` (n,) bool, `score` (n,). It lies in the middle between two scores that occur, so that the last
    bit of a score decides nothing. Raises ValueError without both kinds of image.
    """
    if is_positive.all() or not is_positive.any():
        raise ValueError("A threshold needs images with the disease and images without it.")
    # From no image positive to all; the first threshold is infinite.
    false_positive, sensitivity, thresholds = roc_curve(is_positive, score, drop_intermediate=False)
    reached = 1 - false_positive if aim == "specificity" else sensitivity
    enough = np.flatnonzero(reached >= at_least - 1e-12)
    other = sensitivity if aim == "specificity" else 1 - false_positive
    chosen = enough[np.argmax(other[enough])]
    above, below = thresholds[chosen], float(np.append(thresholds, 0.0)[chosen + 1])
    if np.isinf(above):
        # Even the highest score is of an image without the disease: nothing may be called.
        return max((below + 1) / 2, float(np.nextafter(below, 2)))
    return (float(above) + below) / 2


def counts_at(threshold: float, is_positive: np.ndarray, score: np.ndarray) -> dict[str, Any]:
    """Sensitivity and specificity at a threshold that was chosen elsewhere, with Wilson intervals."""
    called = score >= threshold
    return {
        "sensitivity": share(int((called & is_positive).sum()), int(is_positive.sum())),
        "specificity": share(int((~called & ~is_positive).sum()), int((~is_positive).sum())),
    }


def choose(truth: np.ndarray, probabilities: np.ndarray, labels: list[str]) -> list[dict[str, Any]]:
    """For each disease: the threshold for a specificity of 98 % and the one for a sensitivity of 95 %.

    `truth` (n,) class codes and `probabilities` (n, n_classes) of the validation split.
    """
    return [
        {
            "label": code,
            "aim": aim,
            "at_least": at_least,
            "threshold": threshold_for(aim, at_least, truth == code, probabilities[:, number]),
            "chosen_on": "validation",
        }
        for number, code in enumerate(labels)
        if code != NORMAL
        for aim, at_least in AIMS
    ]


def read_off(at_specificity: float, is_positive: np.ndarray, score: np.ndarray) -> dict[str, Any]:
    """The highest sensitivity that these images' own ROC curve has at this specificity or above.

    The threshold is chosen on the images that it is counted on, as published figures of this kind are; it
    flatters, and serves comparison alone. The interval takes the threshold for given.
    """
    return counts_at(threshold_for("specificity", at_specificity, is_positive, score), is_positive, score)
