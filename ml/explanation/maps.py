"""From a method's raw map to what is shown: float32 (224, 224) in 0..1, over the image stretched to a square."""

from __future__ import annotations

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
