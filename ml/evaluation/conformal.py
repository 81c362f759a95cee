"""The thresholds behind "unsure", and whether they keep their promise on images they were not set on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ml.evaluation.metrics import share
from ml.serving.possible import PossibleLabels

ALPHA = 0.05


def thresholds(
    truth: np.ndarray, probabilities: np.ndarray, labels: list[str], alpha: float = ALPHA
) -> dict[str, float]:
    """For each class the probability that all but a share `alpha` of its own images reach.

    `truth` (n,) class codes and `probabilities` (n, n_classes) of the validation split. Split conformal
    prediction with the score 1 - p(own class), a quantile for each class (Vovk 2012, "Conditional validity of
    inductive conformal predictors"): a new image of a class then keeps its own label with a probability of at
    least 1 - `alpha`, if it is exchangeable with that class's validation images. Of n images the
    floor(alpha (n + 1))-th lowest probability is taken; where that is the 0-th, there are too few images to rule
    the class out, and the threshold is 0.
    """
    result = {}
    for number, code in enumerate(labels):
        own = np.sort(probabilities[truth == code, number])
        # 0.05 * 140 is 7.000000000000001 and 0.05 * 60 is 3.0: neither may move the rank.
        rank = math.floor(alpha * (len(own) + 1) + 1e-9)
        result[code] = float(own[rank - 1]) if rank else 0.0
    return result


def possible_sets(probabilities: np.ndarray, labels: list[str], rule: PossibleLabels) -> np.ndarray:
    """Which labels are possible for each image: bool (n, n_classes), by the rule that is served."""
    sets = [rule(dict(zip(labels, row, strict=True))) for row in probabilities.tolist()]
    return np.array([[code in possible for code in labels] for possible in sets]).reshape(-1, len(labels))


def conformal_figures(
    truth: np.ndarray, probabilities: np.ndarray, labels: list[str], rule: PossibleLabels
) -> dict[str, Any]:
    """How often the true label was among the possible ones, over all images and for each class, how large the
    sets are, and how often the model is right where it is sure.
    """
    sets = possible_sets(probabilities, labels, rule)
    number = np.array([labels.index(code) for code in truth], dtype=int)
    covered = sets[np.arange(len(number)), number]
    unsure = sets.sum(axis=1) > 1
    right = probabilities.argmax(axis=1) == number
    return {
        "images": len(truth),
        "coverage": share(int(covered.sum()), len(covered)),
        "coverage_of_class": {
            code: share(int(covered[number == place].sum()), int((number == place).sum()))
            for place, code in enumerate(labels)
        },
        "mean_set_size": round(float(sets.sum(axis=1).mean()), 4),
        "unsure": share(int(unsure.sum()), len(unsure)),
        "accuracy_where_sure": share(int((right & ~unsure).sum()), int((~unsure).sum())),
        "accuracy_where_unsure": share(int((right & unsure).sum()), int(unsure.sum())),
    }
