"""From class-activation maps to what is laid over the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ml.serving.folder import ModelIntegrityError

CAM, BICUBIC, SMOOTHED, AGAINST_NORMAL = "cam", "cam, bicubic", "cam, smoothed", "cam, against normal"
NORMAL = "normal"


@dataclass(frozen=True)
class ShownMap:
    """How a model's maps are shown: `kind` is one of `kinds(labels)`, `labels` are the class codes in order.

    `cam`: what speaks for the class against the mean of all classes. `cam, bicubic` and `cam, smoothed`: the same,
    enlarged with cubic curves, or averaged with its neighbours first. `cam, against normal`: what speaks for the
    class against the class `normal`; its mean is the logarithm of how much more probable the class is than that. The
    class `normal` itself is shown against the mean of all.
    """

    kind: str
    labels: list[str]

    @staticmethod
    def kinds(labels: list[str]) -> list[str]:
        """The ways in which the maps of these classes can be shown."""
        return [CAM, BICUBIC, SMOOTHED, *([AGAINST_NORMAL] if NORMAL in labels else [])]

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> ShownMap:
        """What a model's card says under `explanation`, `served`; `cam` where it says nothing. Raises
        ModelIntegrityError for what this version does not know.
        """
        labels = [entry["code"] for entry in card["labels"]]
        kind = card.get("explanation", {}).get("served", CAM)
        if kind not in cls.kinds(labels):
            raise ModelIntegrityError(
                f"The model's card asks for the map {kind!r}, which this version cannot show."
            )
        return cls(kind, labels)

    def __call__(self, maps: np.ndarray, label: str, size: tuple[int, int] = (224, 224)) -> np.ndarray:
        """The heat map of `label`, as `heat_map` gives it, from `maps` (n_classes, h, w) as `ModelOutput.maps`."""
        chosen = maps[self.labels.index(label)]
        if self.kind == AGAINST_NORMAL and label != NORMAL:
            chosen = chosen - maps[self.labels.index(NORMAL)]
        if self.kind == SMOOTHED:
            chosen = _smoothed(chosen)
        resample = Image.Resampling.BICUBIC if self.kind == BICUBIC else Image.Resampling.BILINEAR
        return heat_map(chosen[np.newaxis], 0, size, resample)


def heat_map(
    maps: np.ndarray,
    class_index: int,
    size: tuple[int, int] = (224, 224),
    resample: Image.Resampling = Image.Resampling.BILINEAR,
) -> np.ndarray:
    """The places that speak for one class, as float32 (rows, columns) = `size` in 0..1, 1 = the strongest
    place.

    `maps`: float32 (n_classes, h, w) as `ModelOutput.maps`. Only what speaks for the class is shown (values
    below 0 become 0), enlarged, and divided by the largest value. A map without any positive place stays all zero. The
    result lies over the image stretched to the same size. Raises ValueError for a map that is not finite.
    """
    chosen = np.maximum(np.asarray(maps[class_index], dtype=np.float32), 0)
    if not np.isfinite(maps).all():
        raise ValueError("The class-activation map holds values that are not finite.")
    rows, columns = size
    grown = np.asarray(Image.fromarray(chosen).resize((columns, rows), resample), dtype=np.float32)
    peak = float(grown.max())
    return np.clip(grown / np.float32(peak), 0.0, 1.0) if peak > 0 else np.zeros(size, dtype=np.float32)


def _smoothed(places: np.ndarray) -> np.ndarray:
    """Each place with its neighbours above, below and beside it, weighed 1, 2, 1; the rim counts on."""
    for axis in (0, 1):
        padded = np.pad(places, [(1, 1) if axis == side else (0, 0) for side in (0, 1)], mode="edge")
        before, after = np.split(padded, [-2], axis)[0], np.split(padded, [2], axis)[1]
        places = (before + 2 * places + after) / 4
    return places
