"""The imbalance of classes and sources, met in one of three ways. Only the training split comes here.

`resampled`: imbalanced-learn thins large strata and repeats small ones, anew for each epoch. `balanced_batches`: the
same draw, put into an order in which every batch has the same shares. `class_weights`: every image once, and the loss
of a class weighs the more the rarer it is. `python -m benchmarks.balance` compares them.
"""

from __future__ import annotations

import numpy as np
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler


def resample(strata: np.ndarray, targets: dict[str, int], seed: int) -> np.ndarray:
    """Positions of one epoch's images, shuffled: `targets[stratum]` of each stratum, all of a stratum without
    a target.

    `strata` (n,): the stratum of each training image. Small strata are repeated, large ones thinned. A new
    seed draws anew, so over the epochs a large stratum is seen whole. A target for a stratum that has no
    image is ignored.
    """
    positions = np.arange(len(strata)).reshape(-1, 1)
    sizes = {str(name): int(size) for name, size in zip(*np.unique(strata, return_counts=True), strict=True)}
    wanted = {name: targets.get(name, size) for name, size in sizes.items()}
    if len(sizes) > 1:
        less = {name: min(size, wanted[name]) for name, size in sizes.items()}
        positions, strata = RandomUnderSampler(sampling_strategy=less, random_state=seed).fit_resample(
            positions, strata
        )
        positions, strata = RandomOverSampler(sampling_strategy=wanted, random_state=seed).fit_resample(
            positions, strata
        )
    return np.random.default_rng(seed).permutation(positions[:, 0])


def spread(strata: np.ndarray, positions: np.ndarray, seed: int) -> np.ndarray:
    """The drawn `positions` in an order in which every stretch, so every batch, holds the strata in the same shares.

    Within a stratum, and among images that fall on the same place, the order is random.
    """
    random = np.random.default_rng(seed)
    place = np.empty(len(positions))
    drawn = strata[positions]
    for name in np.unique(drawn):
        rows = np.flatnonzero(drawn == name)
        place[random.permutation(rows)] = (np.arange(len(rows)) + random.random()) / len(rows)
    return positions[np.argsort(place, kind="stable")]
