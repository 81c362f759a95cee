"""Whether a probability of 0.9 is right in nine of ten, and the one number that makes it more so.

Temperature scaling (Guo et al. 2017, "On calibration of modern neural networks") divides all logits by one number
T: above 1 it makes the network less sure of itself, below 1 more. It never changes which class is the highest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

BINS = 15
# Where a few validation images are all called rightly, the likelihood has no optimum: surer is always better.
TEMPERATURES = (0.2, 10.0)


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature with the smallest negative log-likelihood of `truth` (n,), class numbers.

    `logits` (n, n_classes). Every image counts once: a probability is to mean a frequency in the mix of classes
    that the validation and the test split share. The loss is convex in 1 / T, so the one minimum is found.
    Raises ValueError without images.
    """
    if not len(truth):
        raise ValueError("A temperature cannot be fitted without validation images.")

    def loss(inverse: float) -> float:
        return -float(log_softmax(logits * inverse, axis=1)[np.arange(len(truth)), truth].mean())

    low, high = TEMPERATURES
    found = minimize_scalar(loss, bounds=(1 / high, 1 / low), method="bounded", options={"xatol": 1e-6})
    return float(1 / found.x)


def probabilities_at(logits: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(logits / temperature) over the last axis."""
    return softmax(logits / temperature, axis=-1)


def reliability(confidence: np.ndarray, correct: np.ndarray) -> list[dict[str, float]]:
    """For each of 15 bins of equal width that holds images: their number, mean confidence and share correct.

    `confidence` (n,) in 0..1, `correct` (n,) bool. A bin holds its upper edge, the first one also 0 (Guo 2017).
    """
    number = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return [
        {
            "images": int(inside.sum()),
            "confidence": float(confidence[inside].mean()),
            "correct": float(correct[inside].mean()),
        }
        for bin_number in range(BINS)
        if (inside := number == bin_number).any()
    ]


def expected_error(bins: list[dict[str, float]]) -> float:
    """Expected calibration error: the mean distance of confidence and share correct, bins weighed by images."""
    total = sum(entry["images"] for entry in bins)
    return sum(entry["images"] * abs(entry["confidence"] - entry["correct"]) for entry in bins) / total


def brier_score(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Brier's score for several classes (Brier 1950): the squared distance to the truth (1 for its class, 0 for
    the others), summed over the classes, mean over the images; 0 best, 2 worst. With two classes it is twice the
    score that counts the positive class alone.
    """
    target = np.eye(probabilities.shape[1])[truth]
    return float(((probabilities - target) ** 2).sum(axis=1).mean())


def calibration_figures(probabilities: np.ndarray, truth: np.ndarray, labels: list[str]) -> dict[str, Any]:
    """Brier score, log loss, expected calibration error of the highest class and of each class, and the bins.

    `probabilities` (n, n_classes), `truth` (n,) class numbers. The class-wise error (Nixon et al. 2019, "Measuring
    calibration in deep learning", without a threshold) bins each class's own probability; its mean over the
    classes shows what the highest class alone hides in a rare class.
    """
    bins = reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == truth)
    of_class = {
        code: expected_error(reliability(probabilities[:, number], truth == number))
        for number, code in enumerate(labels)
    }
    own = np.maximum(probabilities[np.arange(len(truth)), truth], np.finfo(np.float64).tiny)
    return {
        "images": len(truth),
        "expected_calibration_error": round(expected_error(bins), 4),
        "class_wise_calibration_error": {
            "mean": round(float(np.mean(list(of_class.values()))), 4),
            **{code: round(error, 4) for code, error in of_class.items()},
        },
        "brier_score": round(brier_score(probabilities, truth), 4),
        "log_loss": round(float(-np.log(own).mean()), 4),
        "bins": [{key: round(value, 4) for key, value in entry.items()} for entry in bins],
    }
