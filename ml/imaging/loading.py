"""The one way in: bytes of any origin to a grey image, or to a refusal."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ml.imaging.dicom import check_dicom, check_whole, read_dicom
from ml.imaging.image import DEFAULT_LIMITS, CheckedImage, GreyImage, Limits
from ml.imaging.kinds import SNIFF_BYTES, FileKind, has_foreign_preamble, sniff
from ml.imaging.raster import read_raster
from ml.imaging.refusals import ImageRefused, refusal

logger = logging.getLogger(__name__)


def load_image(
    source: Path | bytes, *, limits: Limits = DEFAULT_LIMITS, first_frame: bool = False
) -> GreyImage:
    """Return the grey image in a DICOM, PNG, JPEG or TIFF file, as a radiologist expects to see it.

    `source` is the file's path or its whole content. Sizes are checked against `limits` before anything is
    decoded. With `first_frame`, that is what is returned of a DICOM object of several frames, which is
    refused otherwise; the others are counted and not decoded.

    Raises `ImageRefused` for every file that is not one whole grey image, whatever is in it. An OSError
    leaves only when the file at a path cannot be read at all: then the storage is at fault, not the image.
    """
    data = read_source(source, limits)
    with refusing():
        kind = sniff_or_refuse(data)
        if kind is FileKind.DICOM:
            return read_dicom(data, limits, first_frame=first_frame)
        return read_raster(data, kind, limits)


def check_image(
    source: Path | bytes, *, limits: Limits = DEFAULT_LIMITS, first_frame: bool = False
) -> CheckedImage:
    """Raise what `load_image` would; of a DICOM file in a fraction of its time.

    The pixels of the image are made when they are asked for.
    """
    data = read_source(source, limits)
    with refusing():
        kind = sniff_or_refuse(data)
        if kind is FileKind.DICOM:
            return check_dicom(data, limits, first_frame=first_frame)
        image = read_raster(data, kind, limits)
        return CheckedImage(kind, image.rows, image.columns, lambda: image.pixels)


def read_source(source: Path | bytes, limits: Limits) -> bytes:
    """Return the whole content, never reading more than the limit allows. Raises
    `ImageRefused("too_large")`, OSError.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            data = file.read(limits.max_bytes + 1)
    else:
        data = source
    limits.check_bytes(len(data))
    return data


def sniff_or_refuse(data: bytes) -> FileKind:
    """Return what the file is. Raises `ImageRefused`: empty_file, unknown_kind, two_formats."""
    if not data:
        raise refusal("empty_file")
    kind = sniff(data)
    if kind is None:
        raise refusal("unknown_kind")
    if kind is FileKind.DICOM and has_foreign_preamble(data[:SNIFF_BYTES]):
        raise refusal("two_formats")
    return kind


def check_object(source: Path | bytes, *, limits: Limits = DEFAULT_LIMITS) -> None:
    """Raise `ImageRefused` unless a DICOM object is whole, whatever it holds and whether or not it can be shown:
    unknown_kind, truncated, corrupt, invalid_dicom.
    """
    data = read_source(source, limits)
    with refusing():
        if sniff_or_refuse(data) is not FileKind.DICOM:
            raise refusal("unknown_kind")
        check_whole(data, limits)


@contextmanager
def refusing() -> Iterator[None]:
    """Turn whatever a parser raises into a refusal: a damaged file can make one raise anything.

    The log gets the exception's type and place, not its text: a parser quotes values of the file, and those
    are patient data.
    """
    try:
        yield
    except ImageRefused:
        raise
    except MemoryError:
        raise refusal("too_much_memory") from None
    except Exception as exc:  # noqa: BLE001 - every other exception of a parser means the same here
        place = traceback.extract_tb(exc.__traceback__)[-1]
        logger.warning(
            "Unreadable image: %s at %s:%s", type(exc).__name__, Path(place.filename).name, place.lineno
        )
        raise refusal("corrupt") from None
