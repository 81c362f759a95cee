"""Grey pixels to the 8-bit files that a browser shows. They carry no metadata."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: The longer side at most, in pixels, of what a person reads from and of the small picture in a list.
PREVIEW_SIDE = 2048
THUMBNAIL_SIDE = 256


def render_views(pixels: NDArray[np.float32]) -> tuple[bytes, bytes]:
    """Return preview and thumbnail of `pixels` (rows, columns; 0 = black to 1 = white) as 8-bit grey JPEGs."""
    preview, thumbnail = render_jpegs(pixels, (PREVIEW_SIDE, THUMBNAIL_SIDE))
    return preview, thumbnail


def render_png(pixels: NDArray[np.float32], max_side: int | None = None) -> bytes:
    """Return `pixels` (rows, columns; 0 = black to 1 = white) as an 8-bit grey PNG, lossless.

    `max_side` bounds the longer side in pixels: a larger image is reduced with an anti-aliasing filter, a
    smaller one is left.
    """
    out = BytesIO()
    # Level 1 costs 10 to 20 % of the size on an X-ray's noise, and saves most of the time.
    _to_8_bits(pixels, max_side).save(out, format="PNG", compress_level=1)
    return out.getvalue()


def render_jpeg(pixels: NDArray[np.float32], max_side: int | None = None, quality: int = 90) -> bytes:
    """Return `pixels` (rows, columns; 0 = black to 1 = white) as an 8-bit grey JPEG; `max_side` as for
    `render_png`.
    """
    out = BytesIO()
    _to_8_bits(pixels, max_side).save(out, format="JPEG", quality=quality)
    return out.getvalue()


def render_jpegs(
    pixels: NDArray[np.float32], max_sides: Sequence[int], quality: int = 90
) -> tuple[bytes, ...]:
    """Return `pixels` as several JPEGs, the largest first; each is reduced from the one before it."""
    files = []
    image = _to_8_bits(pixels, max_sides[0])
    for max_side in max_sides:
        image = _reduced(image, max_side)
        out = BytesIO()
        image.save(out, format="JPEG", quality=quality)
        files.append(out.getvalue())
    return tuple(files)


def _to_8_bits(pixels: NDArray[np.float32], max_side: int | None) -> Image.Image:
    if pixels.ndim != 2 or not np.isfinite(pixels).all():
        raise ValueError("pixels must be finite, of shape (rows, columns)")
    # In place: a copy of the largest image accepted takes 160 MB.
    grey = np.clip(pixels, 0, 1)
    grey *= np.float32(255)
    grey += np.float32(0.5)
    return _reduced(Image.fromarray(grey.astype(np.uint8)), max_side)


def _reduced(image: Image.Image, max_side: int | None) -> Image.Image:
    if max_side is not None and max(image.size) > max_side:
        scale = max_side / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return image
