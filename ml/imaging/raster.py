"""PNG and JPEG to grey pixels, with Pillow."""

import struct
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ml.imaging.colour import grey_of_rgb
from ml.imaging.image import GreyImage, Limits
from ml.imaging.kinds import FileKind
from ml.imaging.refusals import refusal


def read_raster(data: bytes, kind: FileKind, limits: Limits) -> GreyImage:
    """Return the grey image of a whole PNG or JPEG file.

    8-bit samples become value / 255, 16-bit ones value / 65535, both exactly: a raster carries no window,
    its values are grey as they are (gamma and colour profiles are ignored, as X-ray exports carry none that
    means anything). The camera's EXIF orientation is applied. Of a phone's multi-picture JPEG the first
    picture, its photograph, is read.

    Raises `ImageRefused`: too_many_pixels, truncated, several_frames, not_grey, transparent.
    """
    if kind is FileKind.PNG:
        limits.check_pixels(*_png_size(data))
        _check_png_chunks(data)
    try:
        image: Image.Image = Image.open(BytesIO(data), formats=(kind.upper(),))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise refusal(
            "too_many_pixels", rows="65,535 (at most)", columns="65,535", limit=limits.max_pixels
        ) from None
    limits.check_pixels(image.height, image.width)
    if kind is FileKind.PNG and getattr(image, "n_frames", 1) > 1:
        raise refusal("several_frames")
    mode = image.mode
    try:
        image.load()
    except OSError:
        # Pillow tells a short file from a damaged one by its wording alone; a person must fetch it again in
        # both cases.
        raise refusal("truncated") from None
    image = ImageOps.exif_transpose(image)
    samples = _grey_samples(image)
    bits_stored = 16 if samples.dtype == np.uint16 else 8
    pixels = samples.astype(np.float32) / np.float32(2**bits_stored - 1)
    return GreyImage(
        pixels=np.ascontiguousarray(pixels),
        kind=kind,
        bits_stored=bits_stored,
        photometric_interpretation=mode,
        transfer_syntax=None,
        grey_mapping="stored range",
    )


def _png_size(data: bytes) -> tuple[int, int]:
    """Rows and columns of the header chunk, which comes first (PNG specification 11.2.1), before Pillow
    sees the file.
    """
    if len(data) < 33:
        raise refusal("truncated")
    length, name, columns, rows = struct.unpack_from(">I4sII", data, 8)
    if name != b"IHDR" or length != 13 or not rows or not columns:
        raise refusal("corrupt")
    return rows, columns


def _check_png_chunks(data: bytes) -> None:
    """Read every chunk and its checksum up to the end chunk: Pillow's decoder itself looks at neither."""
    try:
        Image.open(BytesIO(data), formats=("PNG",)).verify()
    except (OSError, struct.error):
        raise refusal("truncated") from None


def _grey_samples(image: Image.Image) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The image's samples, uint8 or uint16 (rows, columns)."""
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = _opaque(image)
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16, copy=False)
    if image.mode in ("P", "RGB", "YCbCr"):
        return grey_of_rgb(np.asarray(image.convert("RGB")))
    raise refusal("not_grey")


def _opaque(image: Image.Image) -> Image.Image:
    """The image without an alpha channel that says nothing; one that hides any pixel is refused, not
    guessed behind.
    """
    if image.mode.startswith("I;16"):
        if bool((np.asarray(image) == image.info["transparency"]).any()):
            raise refusal("transparent")
        return image
    rgba = np.asarray(image.convert("RGBA"))
    if bool((rgba[..., 3] != 255).any()):
        raise refusal("transparent")
    return Image.fromarray(rgba[..., :3])
