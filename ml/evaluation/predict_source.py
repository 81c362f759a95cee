"""How much a network's features, or an image's simplest statistics, tell about where an image came from."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDS = 5
# A source with fewer images of the class is left out.
FEWEST = 20
DRAWS = 500
STRIP = 1 / 16


def simple_statistics(squares: np.ndarray) -> np.ndarray:
    """What tells sources apart without any anatomy, of squares uint8 (n, size, size): float64 (n, 42).

    A histogram of 32 greys; mean and deviation of the outer sixteenth of each side; the share of black and of
    white places.
    """
    strip = max(1, round(STRIP * squares.shape[1]))
    histograms = [np.bincount(square.ravel() // 8, minlength=32) / square.size for square in squares]
    sides = [squares[:, :strip], squares[:, -strip:], squares[:, :, :strip], squares[:, :, -strip:]]
    borders = [value for side in sides for value in (side.mean(axis=(1, 2)), side.std(axis=(1, 2)))]
    ends = [(squares <= 8).mean(axis=(1, 2)), (squares >= 247).mean(axis=(1, 2))]
    return np.concatenate([np.array(histograms), np.stack([*borders, *ends], axis=1)], axis=1)


def predict_source(
    inputs: np.ndarray, sources: np.ndarray, groups: np.ndarray, *, seed: int = 1
) -> dict[str, Any] | None:
    """How well a multinomial logistic regression names the source of images of one class, from `inputs` (n, d).

    Cross-validated with whole `groups` (n,) of near-twins and patients on one side. Balanced accuracy (the mean over
    sources of the share named rightly), its 95 % interval by a bootstrap over groups, and chance. None where fewer
    than two of `sources` (n,) have 20 images.
    """
    names, counts = np.unique(sources, return_counts=True)
    large = [str(name) for name, count in zip(names, counts, strict=True) if count >= FEWEST]
    if len(large) < 2:
        return None
    kept = np.isin(sources, large)
    inputs, sources, groups = inputs[kept], sources[kept], groups[kept]
    called = np.empty(len(sources), sources.dtype)
    for learnt, tested in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(
        inputs, sources, groups
    ):
        regression = LogisticRegression(C=0.1, class_weight="balanced", max_iter=2000)
        fitted = make_pipeline(StandardScaler(), regression).fit(inputs[learnt], sources[learnt])
        called[tested] = fitted.predict(inputs[tested])
    is_source = np.stack([sources == name for name in large])
    right = is_source & (called == sources)
    numbers = np.unique(groups, return_inverse=True)[1]
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(DRAWS):
        weights = np.bincount(
            random.integers(0, numbers.max() + 1, numbers.max() + 1), minlength=numbers.max() + 1
        )
        weight = weights[numbers]
        drawn.append(float(np.mean((right @ weight) / np.maximum(is_source @ weight, 1))))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {
        "balanced_accuracy": round(float(np.mean(right.sum(axis=1) / is_source.sum(axis=1))), 4),
        "interval_95": [round(float(low), 4), round(float(high), 4)],
        "chance": round(1 / len(large), 4),
        "images": {name: int((sources == name).sum()) for name in large},
    }
