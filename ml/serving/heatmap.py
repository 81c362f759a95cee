"""From a class-activation map to what is laid over the image."""

from __future__ import annotations

import numpy as np
from PIL import Image


def heat_map(maps: np.ndarray, class_index: int, size: tuple[int, int] = (224, 224)) -> np.ndarray:
    """The places that speak for one class, as float32 (rows, columns) = `size` in 0..1, 1 = the strongest
    place.

    `maps`: float32 (n_classes, h, w) as `ModelOutput.maps`. Only what speaks for the class is shown (values
    below 0 become 0); bilinear upscaling, then division by the largest value. A map without any positive
    place stays all zero. The result lies over the image stretched to the same size. Raises ValueError for a
    map that is not finite.
    """
    chosen = np.maximum(np.asarray(maps[class_index], dtype=np.float32), 0)
    if not np.isfinite(maps).all():
        raise ValueError("The class-activation map holds values that are not finite.")
    rows, columns = size
    grown = np.asarray(
        Image.fromarray(chosen).resize((columns, rows), Image.Resampling.BILINEAR), dtype=np.float32
    )
    peak = float(grown.max())
    return np.clip(grown / np.float32(peak), 0.0, 1.0) if peak > 0 else np.zeros(size, dtype=np.float32)
