"""Stored files as answers: the same types, names and missing-file rule for the pages and the API."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.core.files.base import File
from django.db.models.fields.files import FieldFile
from django.http import FileResponse, Http404

from diagnosis.intake.renderings import rendering_open
from diagnosis.models import Image, ImageKind

logger = logging.getLogger(__name__)

# Ours, whatever the sender called the file: a name may hold patient data, and a type decides what a browser does with it.
ORIGINALS = {
    ImageKind.DICOM: ("application/dicom", "dcm"),
    ImageKind.PNG: ("image/png", "png"),
    ImageKind.JPEG: ("image/jpeg", "jpg"),
    ImageKind.TIFF: ("image/tiff", "tif"),
}


def jpeg_response(file: FieldFile) -> FileResponse:
    """A preview or a thumbnail. Raises ``Http404`` where there is none: not in the storage, or not of what cannot be shown."""
    if not file:
        raise Http404
    return _stream(file, "image/jpeg", rendering_open)


def original_response(image: Image) -> FileResponse:
    """The bytes as they are stored, only ever as an attachment. Raises ``Http404`` when the file is missing from the storage."""
    content_type, extension = ORIGINALS[ImageKind(image.kind)]
    response = _stream(image.file, content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="image-{image.pk}.{extension}"'
    return response


def _stream(
    file: FieldFile, content_type: str, open_file: Callable[[FieldFile], File] = FieldFile.open
) -> FileResponse:
    try:
        return FileResponse(open_file(file), content_type=content_type)
    except FileNotFoundError:
        logger.error("A stored file is missing.", extra={"stored_name": file.name})
        raise Http404 from None
