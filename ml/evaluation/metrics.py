"""Figures from truths and probabilities. Pure functions, every share with its 95 % interval."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, roc_auc_score

REPLICATES = 1000


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


def auroc(is_positive: np.ndarray, score: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Area under the ROC curve with a 95 % percentile bootstrap interval; None without both kinds of image."""
    positives, negatives = np.flatnonzero(is_positive), np.flatnonzero(~is_positive)
    if not len(positives) or not len(negatives):
        return {"value": None, "interval_95": None}
    random = np.random.default_rng(seed)
    values = []
    for _ in range(REPLICATES):
        drawn = np.concatenate(
            [random.choice(positives, len(positives)), random.choice(negatives, len(negatives))]
        )
        values.append(roc_auc_score(is_positive[drawn], score[drawn]))
    low, high = np.percentile(values, [2.5, 97.5])
    return {
        "value": round(float(roc_auc_score(is_positive, score)), 4),
        "interval_95": [round(float(low), 4), round(float(high), 4)],
    }


def measure(truth: np.ndarray, probabilities: np.ndarray, labels: list[str]) -> dict[str, Any]:
    """The figures of a test: `truth` (n,) class codes, `probabilities` (n, n_classes), `labels` the codes in order.

    Sensitivity and specificity are of the class of the highest probability. Rows of the confusion matrix are the truth.
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


def by_source(source: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """How often each class of each source was found: where a class's figure differs between sources, ask why."""
    return {
        f"{code} from {name}": share(int((predicted[rows] == code).sum()), int(rows.sum()))
        for name in sorted(set(source))
        for code in sorted(set(truth))
        if (rows := (source == name) & (truth == code)).any()
    }
