"""Does a map point into the outlines? Pure functions on maps (n, rows, columns) and outlines of the same shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

DRAWS = 2000


def strongest(maps: np.ndarray) -> np.ndarray:
    """The strongest places of each map, as bool of the same shape; none where a map is empty."""
    peaks = maps.max(axis=(1, 2), keepdims=True)
    return (maps == peaks) & (peaks > 0)


def pointing(maps: np.ndarray, outlines: np.ndarray) -> np.ndarray:
    """The pointing game (Zhang et al. 2018, "Top-down neural attention by excitation backprop"): bool (n,).

    A case is hit if the strongest place lies inside an outline. A tie counts against the map: all places that share
    the largest value must lie inside. So does an empty map, which points nowhere.
    """
    peaks = strongest(maps)
    return peaks.any(axis=(1, 2)) & ~(peaks & ~outlines).any(axis=(1, 2))


def mass_inside(maps: np.ndarray, outlines: np.ndarray) -> np.ndarray:
    """The share of each map's mass (its values are 0 or more) inside the outlines: (n,). An empty map has none."""
    mass = maps.sum(axis=(1, 2), dtype=np.float64)
    inside = np.where(outlines, maps, 0).sum(axis=(1, 2), dtype=np.float64)
    return np.divide(inside, mass, out=np.zeros_like(inside), where=mass > 0)


def grown(outlines: np.ndarray, pixels: int) -> np.ndarray:
    """The outlines (n, rows, columns) and all places at most `pixels` away from them."""
    result = outlines.copy()
    for outline, near in zip(outlines, result, strict=True):
        if outline.any():
            near[:] = ndimage.distance_transform_edt(~outline) <= pixels
    return result


def mean(values: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Mean over cases with its 95 % interval: percentiles of 2,000 bootstrap draws of whole groups, because images
    of one patient are no independent cases. None without a case.
    """
    if not len(values):
        return {"value": None, "interval_95": None}
    _, number = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(number, weights=values), np.bincount(number)
    random = np.random.default_rng(0)
    drawn = random.integers(len(sums), size=(DRAWS, len(sums)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [2.5, 97.5])
    return {
        "value": round(float(np.mean(values)), 4),
        "interval_95": [round(float(low), 4), round(float(high), 4)],
    }


def choose(hits: dict[str, np.ndarray], mass: dict[str, np.ndarray], rows: np.ndarray) -> str:
    """Of the maps' hits and shares of mass (each (n,)), the name of the one that hits most of the cases `rows`; of
    equal ones, the one with more mass inside.
    """
    return max(hits, key=lambda name: (hits[name][rows].mean(), mass[name][rows].mean()))


def chosen_on_the_other_half(
    hits: dict[str, np.ndarray], mass: dict[str, np.ndarray], groups: np.ndarray, draws: int = 500
) -> dict[str, Any]:
    """What the best map is worth on cases that did not choose it.

    The best of several maps on the same cases looks better than it is. Here `draws` times a random half of the groups
    chooses and the other half is scored.
    """
    random = np.random.default_rng(0)
    names = np.unique(groups)
    values, chosen = [], dict.fromkeys(hits, 0)
    for _ in range(draws):
        choosing = np.isin(groups, random.permutation(names)[: len(names) // 2])
        name = choose(hits, mass, choosing)
        chosen[name] += 1
        values.append(float(hits[name][~choosing].mean()))
    return {
        "pointing": round(float(np.mean(values)), 4),
        "chosen": {name: round(count / draws, 3) for name, count in chosen.items() if count},
    }
