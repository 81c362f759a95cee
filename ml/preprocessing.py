"""From a grey image of any size to what the network takes. Part of the model, saved beside its weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

FORMAT = 1


@dataclass(frozen=True)
class Preprocessing:
    """The one way from pixels to network input: training, evaluation and serving all use it.

    The image is stretched to a square, not cropped or padded: a heat map laid over the stretched image then
    needs no bookkeeping, and nothing at the edge of a lung is cut away. Brightness and contrast are
    standardised inside the network itself, so there is no second copy of that arithmetic to keep equal.
    """

    size: int

    def __post_init__(self) -> None:
        if not 8 <= self.size <= 2048:
            raise ValueError(f"The network's input size must lie between 8 and 2048 pixels, not {self.size}.")

    def square(self, pixels: np.ndarray) -> np.ndarray:
        """Stretch a grey image to the network's square.

        `pixels`: (rows, columns), finite, 0..1, 1 = white. Returns float32 (size, size) in 0..1. Shrinking
        averages over area (no aliasing); a box reduction by a whole factor comes first, which keeps 2500 x
        3000 at a few ms. Raises ValueError for another shape, an empty image, or values that are not finite
        or lie outside 0..1.
        """
        pixels = np.asarray(pixels, dtype=np.float32)
        if pixels.ndim != 2 or 0 in pixels.shape:
            raise ValueError(f"A grey image has rows and columns; this one has the shape {pixels.shape}.")
        low, high = float(pixels.min()), float(pixels.max())
        if not (low >= 0.0 and high <= 1.0):
            raise ValueError(f"Pixel values must lie in 0..1; these run from {low} to {high}.")
        if pixels.shape == (self.size, self.size):
            return np.ascontiguousarray(pixels)
        image = Image.fromarray(np.ascontiguousarray(pixels))
        resized = image.resize((self.size, self.size), Image.Resampling.BILINEAR, reducing_gap=2.0)
        return np.clip(np.asarray(resized, dtype=np.float32), 0.0, 1.0)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Grey image (rows, columns) in 0..1 to network input: float32 (1, size, size, 1) in 0..1."""
        return self.square(pixels)[np.newaxis, :, :, np.newaxis]

    def to_json(self, path: Path) -> None:
        """Write beside the weights; `from_json` gives an equal object back."""
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=2)
        path.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def from_json(cls, source: Path | bytes) -> Preprocessing:
        """Read what `to_json` wrote (a path, or the file's bytes). Raises ValueError for any other format
        or field.
        """
        document = json.loads(source if isinstance(source, bytes) else source.read_bytes())
        if document.pop("format", None) != FORMAT or set(document) != {"size"}:
            raise ValueError(
                "The model's preprocessing.json was written by a version that this one cannot read."
            )
        return cls(**document)
