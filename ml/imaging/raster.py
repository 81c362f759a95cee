"""PNG, JPEG and TIFF to grey pixels, with Pillow."""

import struct
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin

from ml.imaging.colour import grey_of_rgb
from ml.imaging.grey_scale import STORED_RANGE
from ml.imaging.image import GreyImage, Limits
from ml.imaging.jpeg import jpeg_size
from ml.imaging.kinds import FileKind
from ml.imaging.refusals import gettext_noop, refusal

#: Tags of TIFF 6.0, section 8.
BITS_PER_SAMPLE, PHOTOMETRIC_INTERPRETATION = 258, 262
#: Where strips or tiles lie, and how long each is.
OFFSETS, BYTE_COUNTS = (273, 324), (279, 325)
#: Bytes of one value of each type (TIFF 6.0, section 2).
TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
#: Pillow knows 16 bits with white as 0 of little endian alone. The samples are the same; `read_tiff` turns them round.
TiffImagePlugin.OPEN_INFO.setdefault((b"MM", 0, (1,), 1, (16,), ()), ("I;16B", "I;16B"))
END_OF_IMAGE = b"\xff\xd9"
#: Writers add a little after a JPEG's end.
END_SEARCHED = 1024


def read_raster(data: bytes, kind: FileKind, limits: Limits) -> GreyImage:
    """Return the grey image of a whole PNG, JPEG or TIFF file.

    8-bit samples become value / 255, 16-bit ones value / 65535, both exactly: a raster carries no window,
    its values are grey as they are (gamma and colour profiles are ignored, as X-ray exports carry none that
    means anything). The camera's EXIF orientation is applied. Of a phone's multi-picture JPEG the first
    picture, its photograph, is read.

    Raises `ImageRefused`: too_many_pixels, truncated, several_frames, not_grey, transparent, unsupported_samples.
    """
    if kind is FileKind.TIFF:
        return read_tiff(data, limits)
    rows, columns = _png_size(data) if kind is FileKind.PNG else _jpeg_size(data)
    limits.check_pixels(rows, columns)
    if kind is FileKind.PNG:
        _check_png_chunks(data)
    image: Image.Image = Image.open(BytesIO(data), formats=(kind.upper(),))
    if image.size != (columns, rows):
        raise refusal("corrupt")
    if kind is FileKind.PNG and getattr(image, "n_frames", 1) > 1:
        raise refusal("several_frames")
    mode = image.mode
    try:
        image.load()
    except OSError:
        raise refusal("corrupt" if _has_end(data, kind) else "truncated") from None
    image = ImageOps.exif_transpose(image)
    samples = _grey_samples(image)
    return _grey_image(samples, kind, mode, 16 if samples.dtype == np.uint16 else 8)


def read_tiff(data: bytes, limits: Limits) -> GreyImage:
    """As `read_raster`, for TIFF of one page: 1 to 8, 12 and 16 bits unsigned, black or white as 0 (TIFF 6.0, section 3)."""
    check_tiff(data)
    # Not Image.open: it has a limit of its own, and another word for it.
    with TiffImagePlugin.TiffImageFile(BytesIO(data)) as image:
        columns, rows = image.size
        limits.check_pixels(rows, columns)
        if getattr(image, "n_frames", 1) > 1:
            raise refusal("several_frames")
        # TIFF 6.0: BitsPerSample, PhotometricInterpretation 0 = WhiteIsZero. Pillow turns that round for 8 bits alone.
        bits = max(image.tag_v2.get(BITS_PER_SAMPLE) or (1,))
        white_is_zero = image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0
        mode = image.mode
        if mode.startswith(("I", "F")) and not mode.startswith("I;16"):
            raise refusal("unsupported_samples", problem=gettext_noop("signed, 32 bit or floating point"))
        try:
            image.load()
        except OSError:
            raise refusal("truncated") from None
        samples = _grey_samples(ImageOps.exif_transpose(image))
    bits_stored = bits if samples.dtype == np.uint16 else 8
    if white_is_zero and samples.dtype == np.uint16:
        samples = (2**bits_stored - 1) - samples
    return _grey_image(samples, FileKind.TIFF, mode, bits_stored)


def check_tiff(data: bytes) -> None:
    """Raise `ImageRefused("truncated")` unless the first directory of a TIFF, and all that it points to, lie in the file (TIFF
    6.0, section 2). Pillow reads what is there of a directory, and takes the rest for absent.
    """
    order = "<" if data.startswith(b"II") else ">"
    try:
        [start] = struct.unpack_from(f"{order}L", data, 4)
        [count] = struct.unpack_from(f"{order}H", data, start)
        end = start + 2 + 12 * count + 4
        pieces: dict[int, tuple[int, ...]] = {}
        for place in range(start + 2, end - 4, 12):
            tag, kind, length = struct.unpack_from(f"{order}HHL", data, place)
            size = TIFF_SIZES.get(kind, 1) * length
            at = place + 8 if size <= 4 else struct.unpack_from(f"{order}L", data, place + 8)[0]
            end = max(end, at + size)
            if tag in (*OFFSETS, *BYTE_COUNTS) and kind in (3, 4) and end <= len(data):
                pieces[tag] = struct.unpack_from(f"{order}{length}{'HL'[kind - 3]}", data, at)
    except struct.error:
        raise refusal("truncated") from None
    for offsets, counts in zip(OFFSETS, BYTE_COUNTS, strict=True):
        for at, size in zip(pieces.get(offsets, ()), pieces.get(counts, ()), strict=False):
            end = max(end, at + size)
    if end > len(data):
        raise refusal("truncated")


def _grey_image(samples: NDArray[Any], kind: FileKind, mode: str, bits_stored: int) -> GreyImage:
    pixels = samples.astype(np.float32) / np.float32(2**bits_stored - 1)
    return GreyImage(
        pixels=np.ascontiguousarray(pixels),
        kind=kind,
        bits_stored=bits_stored,
        photometric_interpretation=mode,
        transfer_syntax=None,
        grey_mapping=STORED_RANGE,
    )


def _has_end(data: bytes, kind: FileKind) -> bool:
    """Whether a file that could not be decoded is whole. A PNG's chunks have been checked by then."""
    return kind is FileKind.PNG or END_OF_IMAGE in data[-END_SEARCHED:]


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


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Rows and columns of the frame header."""
    size = jpeg_size(data)
    if size is None:
        raise refusal("truncated")
    columns, rows = size
    if not rows or not columns:
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
