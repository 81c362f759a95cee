"""Figures from truths and probabilities. Pure functions, every share with its 95 % interval."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import binomtest, norm, rankdata
from sklearn.metrics import confusion_matrix


def share(correct: int, total: int) -> dict[str, Any]:
    """A share with its counts and 95 % Wilson score interval; None where nothing was counted."""
    if total == 0:
        return {"value": None, "interval_95": None, "correct": 0, "total": 0}
    interval = binomtest(correct, total).proportion_ci(0.95, method="wilson")
    return {
        "value": round(correct / total, 4),
        "interval_95": [round(interval.low, 4), round(interval.high, 4)],
        "correct": int(correct),
        "total": int(total),
    }


def auroc(is_positive: np.ndarray, score: np.ndarray) -> dict[str, Any]:
    """Area under the ROC curve with its 95 % interval (DeLong et al. 1988); None without both kinds of
    image.
    """
    positives, negatives = score[is_positive], score[~is_positive]
    if not len(positives) or not len(negatives):
        return {"value": None, "interval_95": None}
    # For each image the share of images of the other kind that it is ranked against rightly.
    ranks = rankdata(np.concatenate([positives, negatives]))
    above = (ranks[: len(positives)] - rankdata(positives)) / len(negatives)
    below = 1 - (ranks[len(positives) :] - rankdata(negatives)) / len(positives)
    area = float(above.mean())
    variance = sum(float(part.var(ddof=1)) / len(part) for part in (above, below) if len(part) > 1)
    reach = norm.ppf(0.975) * variance**0.5
    return {
        "value": round(area, 4),
        "interval_95": [round(max(area - reach, 0.0), 4), round(min(area + reach, 1.0), 4)],
    }


def measure(truth: np.ndarray, probabilities: np.ndarray, labels: list[str]) -> dict[str, Any]:
    """The figures of a test: `truth` (n,) class codes, `probabilities` (n, n_classes), `labels` the codes in
    order.

    Sensitivity and specificity are of the class of the highest probability. Rows of the confusion matrix are
    the truth.
    """
    predicted = np.array(labels)[probabilities.argmax(axis=1)]
    matrix = confusion_matrix(truth, predicted, labels=labels)
    total = int(matrix.sum())
    classes: dict[str, Any] = {}
    for number, code in enumerate(labels):
        hits, present, called = (
            int(matrix[number, number]),
            int(matrix[number].sum()),
            int(matrix[:, number].sum()),
        )
        classes[code] = {
            "sensitivity": share(hits, present),
            "specificity": share(total - present - called + hits, total - present),
            "auroc_against_the_rest": auroc(truth == code, probabilities[:, number]),
        }
    sensitivities = [entry["sensitivity"]["value"] for entry in classes.values()]
    return {
        "accuracy": share(int(np.trace(matrix)), total),
        "balanced_accuracy": None
        if None in sensitivities
        else round(float(np.mean([matrix[n, n] / matrix[n].sum() for n in range(len(labels))])), 4),
        "classes": classes,
        "confusion_matrix": {"labels": labels, "rows_are_truth": matrix.tolist()},
    }


def by_group(group: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """For each group of images (a source, an age group): how many, and how often each of its classes was found.
    Where a class's figure differs between groups, ask why.
    """
    return {
        name: {
            "images": int((group == name).sum()),
            "accuracy": share(int((predicted == truth)[group == name].sum()), int((group == name).sum())),
            "sensitivity": {
                code: share(int((predicted[rows] == code).sum()), int(rows.sum()))
                for code in sorted(set(truth))
                if (rows := (group == name) & (truth == code)).any()
            },
        }
        for name in sorted(set(group))
    }
