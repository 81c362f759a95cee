"""Bytes to an examined file: is this an image we can show and analyse, and what does it say about itself?"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from diagnosis.intake.dicom_header import DicomHeader, read_header
from diagnosis.limits import image_limits
from ml.imaging import FileKind, load_image, render_jpeg

PREVIEW_SIDE = 2048
THUMBNAIL_SIDE = 256


@dataclasses.dataclass(frozen=True, slots=True)
class ExaminedFile:
    """A file that was read to the last pixel. ``preview`` and ``thumbnail`` are JPEG without metadata."""

    content: bytes
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


def examine(content: bytes) -> ExaminedFile:
    """Decode the whole file once. Raises ``ml.imaging.ImageRefused`` with a sentence for the person."""
    limits = image_limits()
    image = load_image(content, limits=limits)
    return ExaminedFile(
        content=content,
        kind=image.kind,
        rows=image.rows,
        columns=image.columns,
        header=read_header(content, limits=limits) if image.kind is FileKind.DICOM else None,
        preview=render_jpeg(image.pixels, max_side=PREVIEW_SIDE),
        thumbnail=render_jpeg(image.pixels, max_side=THUMBNAIL_SIDE),
    )
