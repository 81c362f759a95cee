"""From a method's raw map to what is shown: float32 (224, 224) in 0..1, over the image stretched to a square."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

from ml.explanation.methods import METHODS, Explained
from ml.serving import heat_map

SIDE = 224
# A single pixel's share says little and alternates in sign along every edge; what is shown is the net of its
# neighbourhood, a Gaussian of this share of the side.
PIXEL_SMOOTHING = 1 / 32


def explain(explained: Explained, images: np.ndarray, label: int, method: str) -> np.ndarray:
    """The maps of one method for the class `label`: images (n, size, size, 1) to float32 (n, 224, 224) in 0..1.

    As with the served map, only what speaks for the class is shown, divided by its largest value; where nothing
    does, the map is all zero. Raises KeyError for an unknown method.
    """
    raw = METHODS[method](explained, images, label)
    if method == "integrated-gradients":
        raw = ndimage.gaussian_filter(raw, (0, *[PIXEL_SMOOTHING * raw.shape[1]] * 2))
    return np.stack([heat_map(one[np.newaxis], 0, (SIDE, SIDE)) for one in raw])


def _bicubic(maps: np.ndarray, label: int, labels: Sequence[str]) -> np.ndarray:
    grown = ndimage.zoom(
        maps[label], SIDE / np.array(maps[label].shape), order=3, mode="nearest", grid_mode=True
    )
    return heat_map(grown[np.newaxis], 0, (SIDE, SIDE))


def _smoothed(maps: np.ndarray, label: int, labels: Sequence[str]) -> np.ndarray:
    return heat_map(ndimage.gaussian_filter(maps[label], 1, mode="nearest")[np.newaxis], 0, (SIDE, SIDE))


def _against_normal(maps: np.ndarray, label: int, labels: Sequence[str]) -> np.ndarray:
    difference = maps[label] - maps[list(labels).index("normal")]
    return heat_map(difference[np.newaxis], 0, (SIDE, SIDE))


# Other ways to show the very maps of the forward pass, which cost the portal nothing: maps (n_classes, h, w), the class
# and all classes' codes to (224, 224).
VARIANTS: dict[str, Callable[[np.ndarray, int, Sequence[str]], np.ndarray]] = {
    "cam, bicubic": _bicubic,
    "cam, smoothed": _smoothed,
    "cam, against normal": _against_normal,
}
