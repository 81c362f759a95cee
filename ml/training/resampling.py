"""The imbalance of classes and sources, met by drawing anew for each epoch. Only the training split comes
here.
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
