"""ROC and precision-recall curves, thinned to what a picture needs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import expit, logit
from scipy.stats import binomtest, norm
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_curve

POINTS = 100


def average_precision(is_positive: np.ndarray, score: np.ndarray) -> dict[str, Any]:
    """Average precision (the area under the precision-recall curve as steps) with its 95 % logit interval (Boyd,
    Eng and Page 2013, "Area under the precision-recall curve"); None without both kinds of image.

    That interval does not exist at exactly 1; there it runs from Wilson's lower bound of all positives right.
    """
    positives = int(is_positive.sum())
    if not positives or positives == len(is_positive):
        return {"value": None, "interval_95": None}
    area = float(average_precision_score(is_positive, score))
    if area >= 1:
        low, high = float(binomtest(positives, positives).proportion_ci(0.95, method="wilson").low), 1.0
    else:
        reach = norm.ppf(0.975) / math.sqrt(positives * area * (1 - area))
        low, high = (float(expit(logit(area) + side)) for side in (-reach, reach))
    return {"value": round(area, 4), "interval_95": [round(low, 4), round(high, 4)]}


def roc_points(is_positive: np.ndarray, score: np.ndarray) -> dict[str, list[float]] | None:
    """At most 100 points of the ROC curve, ends included; None without both kinds of image."""
    if is_positive.all() or not is_positive.any():
        return None
    false_positive, sensitivity, _ = roc_curve(is_positive, score)
    chosen = thinned(false_positive, sensitivity)
    return {
        "false_positive_rate": np.round(false_positive[chosen], 5).tolist(),
        "sensitivity": np.round(sensitivity[chosen], 5).tolist(),
    }


def precision_recall_points(is_positive: np.ndarray, score: np.ndarray) -> dict[str, list[float]] | None:
    """At most 100 points of the precision-recall curve, from recall 1 to 0; None without both kinds of image."""
    if is_positive.all() or not is_positive.any():
        return None
    precision, recall, _ = precision_recall_curve(is_positive, score, drop_intermediate=True)
    chosen = thinned(recall, precision)
    return {
        "recall": np.round(recall[chosen], 5).tolist(),
        "precision": np.round(precision[chosen], 5).tolist(),
    }


def thinned(x: np.ndarray, y: np.ndarray, points: int = POINTS) -> np.ndarray:
    """Positions of at most `points` points of the curve through (x, y) (n,), spread evenly along its length, the
    first and the last among them.
    """
    if len(x) <= points:
        return np.arange(len(x))
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    wanted = np.linspace(0, along[-1], points)
    return np.unique(np.clip(np.searchsorted(along, wanted), 0, len(x) - 1))
