"""Bytes to an examined file: is this an image we can show and analyse, and what does it say about itself?"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder

from diagnosis.intake.dicom_header import DicomHeader, read_header
from ml.imaging import DEFAULT_LIMITS, FileKind, ImageRefused, Limits, load_image, render_jpeg

PREVIEW_SIDE = 2048
THUMBNAIL_SIDE = 256


@dataclasses.dataclass(frozen=True, slots=True)
class ExaminedFile:
    """A file that was read to the last pixel. ``preview`` and ``thumbnail`` are JPEG without metadata."""

    content: bytes
    sha256: str
    kind: FileKind
    rows: int
    columns: int
    header: DicomHeader | None
    preview: bytes
    thumbnail: bytes

    @property
    def header_json(self) -> dict[str, Any]:
        """The header as JSON holds it: dates and times in ISO 8601, empty for PNG and JPEG."""
        return (
            json.loads(json.dumps(dataclasses.asdict(self.header), cls=DjangoJSONEncoder))
            if self.header
            else {}
        )


def limits() -> Limits:
    return dataclasses.replace(DEFAULT_LIMITS, max_bytes=settings.CXR_MAX_UPLOAD_BYTES)


def examine(content: bytes) -> ExaminedFile:
    """Decode the whole file once. Raises ``ml.imaging.ImageRefused`` with a sentence for the person."""
    image = load_image(content, limits=limits())
    return ExaminedFile(
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        kind=image.kind,
        rows=image.rows,
        columns=image.columns,
        header=read_header(content) if image.kind is FileKind.DICOM else None,
        preview=render_jpeg(image.pixels, max_side=PREVIEW_SIDE),
        thumbnail=render_jpeg(image.pixels, max_side=THUMBNAIL_SIDE),
    )


def too_large() -> ImageRefused:
    """The refusal of a file that is over the limit, before a byte of it is read into memory."""
    megabytes = settings.CXR_MAX_UPLOAD_BYTES // 2**20
    return ImageRefused(
        "too_large",
        f"The file is larger than the limit of {megabytes} MB. Export the single image again, with compression if need be.",
    )
