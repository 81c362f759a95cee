"""How the heat map is painted: where the network looked, in colours that colour-blind readers can tell apart."""

from __future__ import annotations

import functools
import io

import numpy as np
from PIL import Image as PillowImage

# Anchors of matplotlib's viridis (CC0), evenly spaced from 0 to 1; between them colours are linear.
VIRIDIS = (
    (68, 1, 84),
    (72, 40, 120),
    (62, 74, 137),
    (49, 104, 142),
    (38, 130, 142),
    (31, 158, 137),
    (53, 183, 121),
    (109, 205, 89),
    (180, 222, 44),
    (253, 231, 37),
)
LONG_SIDE = 512
"""Pixels of the painted map's longer side: bilinear, so that more would show nothing more."""


@functools.cache
def _colours() -> np.ndarray:
    """uint8 (256, 3)."""
    levels = np.linspace(0, 1, 256)
    anchors = np.linspace(0, 1, len(VIRIDIS))
    channels = [np.interp(levels, anchors, channel) for channel in zip(*VIRIDIS, strict=True)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def colour_bar() -> list[tuple[int, str]]:
    """(percent, colour) of the stops of a gradient that runs from “little” to “most”."""
    last = len(VIRIDIS) - 1
    return [
        (round(100 * place / last), "#{:02x}{:02x}{:02x}".format(*colour))
        for place, colour in enumerate(VIRIDIS)
    ]


def paint(heat_map: np.ndarray, *, rows: int, columns: int) -> bytes:
    """A PNG with the shape of a ``rows`` x ``columns`` image, to be laid over it.

    ``heat_map`` is float32 (h, w) in 0..1, aligned with the image stretched to a square. Opacity grows with the value:
    where it is 0 nothing hides the image.
    """
    scale = LONG_SIDE / max(rows, columns)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    stretched = PillowImage.fromarray(heat_map.astype(np.float32)).resize(
        size, PillowImage.Resampling.BILINEAR
    )
    levels = np.rint(np.clip(np.asarray(stretched), 0, 1) * 255).astype(np.uint8)
    painted = np.dstack([_colours()[levels], levels])
    file = io.BytesIO()
    PillowImage.fromarray(painted).save(file, "PNG", compress_level=1)
    return file.getvalue()
