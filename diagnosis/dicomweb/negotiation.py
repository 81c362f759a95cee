"""Which of its representations a DICOMweb resource is sent in (PS3.18 8.7)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from django.http.request import MediaType
from pydicom import uid
from rest_framework.exceptions import NotAcceptable
from rest_framework.request import Request

MULTIPART = "multipart/related"
DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
JSON = "application/json"
OCTET_STREAM = "application/octet-stream"
JPEG = "image/jpeg"
PNG = "image/png"
AS_STORED = "*"
DEFAULT_TRANSFER_SYNTAX = str(uid.ExplicitVRLittleEndian)  # PS3.18 8.7.3.5.2

#: The media type of one compressed frame, by its transfer syntax (PS3.18 Table 8.7.3-5).
FRAME_MEDIA_TYPES = {
    str(uid.JPEGBaseline8Bit): JPEG,
    str(uid.JPEGExtended12Bit): JPEG,
    str(uid.JPEGLossless): JPEG,
    str(uid.JPEGLosslessSV1): JPEG,
    str(uid.RLELossless): "image/dicom-rle",
    str(uid.JPEGLSLossless): "image/jls",
    str(uid.JPEGLSNearLossless): "image/jls",
    str(uid.JPEG2000Lossless): "image/jp2",
    str(uid.JPEG2000): "image/jp2",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Accepted:
    """One entry of ``Accept``: the type of a part where it asks for several parts, with its transfer syntax.

    ``transfer_syntax`` is empty where none is named, and ``*`` for “as it is stored”.
    """

    media_type: str
    is_multipart: bool
    transfer_syntax: str


def accepted(request: Request) -> list[Accepted]:
    """What the caller accepts, best first; ``accept`` in the address wins over the header (PS3.18 8.3.3.1)."""
    header = request.query_params.get("accept") or request.headers.get("Accept") or "*/*"
    types = [MediaType(part.strip()) for part in header.split(",") if part.strip()]
    # Stable: of equal quality the first is preferred.
    types.sort(key=lambda media_type: -media_type.quality)
    return [_entry(media_type) for media_type in types if media_type.quality > 0]


def _entry(media_type: MediaType) -> Accepted:
    name = f"{media_type.main_type}/{media_type.sub_type}".lower()
    is_multipart = media_type.main_type.lower() == "multipart"
    if is_multipart:
        name = str(media_type.params.get("type", "*/*")).strip('"').lower()
    return Accepted(name, is_multipart, str(media_type.params.get("transfer-syntax", "")).strip('"'))


def matches(wanted: str, offered: str) -> bool:
    main, _, sub = wanted.partition("/")
    return main in ("*", offered.partition("/")[0]) and sub in ("*", offered.partition("/")[2])


def choose(request: Request, offered: Sequence[str]) -> str:
    """The best of the single-part types ``offered``. Raises ``NotAcceptable``."""
    for wanted in accepted(request):
        for media_type in offered:
            if not wanted.is_multipart and matches(wanted.media_type, media_type):
                return media_type
    raise not_acceptable(offered)


def not_acceptable(offered: Sequence[str]) -> NotAcceptable:
    return NotAcceptable(
        f"None of the media types of the request's Accept header can be sent here. Ask for {' or '.join(offered)}."
    )
