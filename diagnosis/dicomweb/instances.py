"""The stored DICOM files that DICOMweb serves: which a person may see, and what is read from them."""

from __future__ import annotations

import dataclasses
import io
import logging
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pydicom
from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.http import Http404
from pydicom import uid
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from rest_framework.exceptions import NotAcceptable

from diagnosis.dicomweb.negotiation import DEFAULT_TRANSFER_SYNTAX, FRAME_MEDIA_TYPES, OCTET_STREAM
from diagnosis.models import Image, ImageKind, User
from ml.imaging import ImageRefused, gettext_noop, refusal
from ml.imaging.decoders import CODECS, decode, require_decoder

logger = logging.getLogger(__name__)

CHUNK = 256 * 1024
#: A binary element of more than this many bytes is bulk data, and metadata come without (PS3.18 10.4.1.1.2).
BULK_BYTES = 64 * 1024
BINARY = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")
#: With these the samples are stored as they are, in the order of bytes that native frames have to be sent in.
LITTLE_ENDIAN_NATIVE = (
    str(uid.ImplicitVRLittleEndian),
    str(uid.ExplicitVRLittleEndian),
    str(uid.DeflatedExplicitVRLittleEndian),
)


def instances_visible_to(user: User) -> QuerySet[Image]:
    """Stored DICOM objects that can be addressed: PNG and JPEG files, and files without a series, are not DICOMweb's."""
    images: QuerySet[Image] = Image.objects.visible_to(user)
    return (
        images.filter(kind=ImageKind.DICOM)
        .exclude(series_instance_uid="")
        .select_related("site", "study__site", "study__patient")
        .order_by("created_at", "id")
    )


def require_stored(image: Image) -> None:
    """Raises ``Http404`` when the file is missing from the storage."""
    if not default_storage.exists(str(image.file.name)):
        logger.error("A stored file is missing.", extra={"stored_name": image.file.name})
        raise Http404


def stored_chunks(image: Image) -> Iterator[bytes]:
    """The bytes as they are stored."""
    with image.file.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def read(image: Image, *, pixels: bool) -> FileDataset:
    with image.file.open("rb") as file:
        # Whole, since values of a lazily read data set are looked up in a file that is closed by then.
        content = io.BytesIO(file.read())
    return pydicom.dcmread(content, stop_before_pixels=not pixels)


# As files


def require_transcoding(image: Image, wanted: str) -> None:
    """Raises ``NotAcceptable`` when the instance cannot be sent in the transfer syntax ``wanted``, a UID."""
    stored = image.transfer_syntax_uid
    if wanted == stored:
        return
    sentence = (
        f"The instance {image.sop_instance_uid} is stored as {uid.UID(stored).name} and cannot be sent as "
        f"{uid.UID(wanted).name}. Ask for transfer-syntax=* to get it as it is stored."
    )
    # Decoded here is only what was decoded at its intake, apart: a file that ends its decoder must not end a web server.
    is_decoded = image.is_shown and image.number_of_frames == 1
    is_safe = is_decoded or not uid.UID(stored).is_encapsulated
    if wanted != DEFAULT_TRANSFER_SYNTAX or not is_safe:
        raise NotAcceptable(sentence)
    try:
        require_decoder(uid.UID(stored), image.header.get("bits_stored"))
    except ImageRefused:
        raise NotAcceptable(sentence) from None


def as_explicit_little_endian(image: Image) -> bytes:
    """The whole file in Explicit VR Little Endian, its pixels decompressed, every UID as it is stored."""
    ds = read(image, pixels=True)
    stored = uid.UID(image.transfer_syntax_uid)
    if stored.is_encapsulated and "PixelData" in ds:
        ds.decompress(decoding_plugin=CODECS[stored].plugin, generate_instance_uid=False)
    elif not stored.is_little_endian:
        _swap_words(ds)
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return out.getvalue()


def _swap_words(ds: FileDataset) -> None:
    """VR OW is the one whose bytes depend on the transfer syntax and that pydicom writes as they are (PS3.5 6.2)."""
    for element in ds.iterall():
        if element.VR == "OW" and isinstance(element.value, bytes):
            element.value = np.frombuffer(element.value, "<u2").byteswap().tobytes()


# As frames


@dataclasses.dataclass(frozen=True, slots=True)
class Frames:
    """The frames of one instance, each sent as ``media_type`` in ``transfer_syntax``."""

    media_type: str
    transfer_syntax: str
    contents: list[bytes]


def frame_media_type(syntax: str) -> str:
    return FRAME_MEDIA_TYPES.get(syntax, OCTET_STREAM)


def frame_count(ds: FileDataset) -> int:
    """Number of Frames, 1 where it is absent. Raises ``Http404`` for an object without pixels."""
    if "PixelData" not in ds:
        raise Http404
    return int(ds.get("NumberOfFrames") or 1)


def stored_frame(ds: FileDataset, index: int) -> bytes:
    """Frame ``index`` (from 0) as it is stored: one codestream, or the samples of native little endian pixel data.

    Raises ``ImageRefused`` where it is not whole.
    """
    if ds.file_meta.TransferSyntaxUID.is_encapsulated:
        return get_frame(ds.PixelData, index, number_of_frames=frame_count(ds))
    bits = int(ds.Rows) * int(ds.Columns) * int(ds.SamplesPerPixel) * int(ds.BitsAllocated)
    if bits % 8:  # Frames of single bits begin inside a byte (PS3.5 8.1.1).
        raise refusal("unsupported_samples", problem=gettext_noop("frames that are not whole bytes"))
    size = bits // 8
    frame = bytes(ds.PixelData[index * size : (index + 1) * size])
    if len(frame) != size:
        raise refusal("truncated")
    return frame


def native_frame(ds: FileDataset, index: int) -> bytes:
    """Frame ``index`` (from 0) as samples in little endian, decompressed where it is stored compressed."""
    stored = ds.file_meta.TransferSyntaxUID
    if str(stored) in LITTLE_ENDIAN_NATIVE:
        return stored_frame(ds, index)
    if frame_count(ds) == 1:
        samples = decode(ds, stored)
    else:
        samples, _ = get_decoder(stored).as_array(ds, index=index, decoding_plugin=CODECS[stored].plugin)
    return bytes(samples.astype(samples.dtype.newbyteorder("<")).tobytes())


# As metadata


def metadata(image: Image, *, frames_url: str) -> dict[str, Any]:
    """The data set in the DICOM JSON model (PS3.18 F.2) without bulk data; ``frames_url`` is where its pixels are."""
    ds = read(image, pixels=False)
    for element in list(ds):
        if element.VR in BINARY and len(element.value or b"") > BULK_BYTES:
            del ds[element.tag]
    # In the bytes of the file; the JSON is UTF-8 whatever these were in (PS3.18 F.2).
    ds.decode()
    result = _finite(ds.to_json_dict(suppress_invalid_tags=True))
    result["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    result["00083002"] = {"vr": "UI", "Value": [image.transfer_syntax_uid]}  # Available Transfer Syntax UID
    if "Rows" in ds:
        result["7FE00010"] = {"vr": "OW", "BulkDataURI": frames_url}
    return dict(sorted(result.items()))


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value
