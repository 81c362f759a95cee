"""Files of patients: streamed to those who may see them, never addressed directly."""

from __future__ import annotations

import logging
import uuid

from django.db.models.fields.files import FieldFile
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from diagnosis import inference
from diagnosis.models import Image, ImageKind, IncomingFile, Prediction
from diagnosis.services.studies import image_download
from diagnosis.web.overlay import paint
from diagnosis.web.requests import PersonRequest

logger = logging.getLogger(__name__)

# Ours, whatever the sender called the file: a name may hold patient data, and a type decides what a browser does with it.
ORIGINALS = {
    ImageKind.DICOM: ("application/dicom", "dcm"),
    ImageKind.PNG: ("image/png", "png"),
    ImageKind.JPEG: ("image/jpeg", "jpg"),
}


@require_safe
def preview(request: PersonRequest, image_id: uuid.UUID) -> FileResponse:
    return _jpeg(get_object_or_404(Image.objects.visible_to(request.user), pk=image_id).preview)


@require_safe
def thumbnail(request: PersonRequest, image_id: uuid.UUID) -> FileResponse:
    return _jpeg(get_object_or_404(Image.objects.visible_to(request.user), pk=image_id).thumbnail)


@require_safe
def waiting_thumbnail(request: PersonRequest, incoming_id: uuid.UUID) -> FileResponse:
    return _jpeg(_waiting(request, incoming_id).thumbnail)


@require_safe
def waiting_preview(request: PersonRequest, incoming_id: uuid.UUID) -> FileResponse:
    return _jpeg(_waiting(request, incoming_id).preview)


def _waiting(request: PersonRequest, incoming_id: uuid.UUID) -> IncomingFile:
    """A file that waits is its uploader's alone: nobody has said yet whose it is."""
    return get_object_or_404(
        IncomingFile.objects.visible_to(request.user), uploaded_by=request.user, pk=incoming_id
    )


@require_safe
def original(request: PersonRequest, image_id: uuid.UUID) -> FileResponse:
    image = get_object_or_404(
        Image.objects.visible_to(request.user).select_related("site", "study__patient"), pk=image_id
    )
    content_type, extension = ORIGINALS[ImageKind(image.kind)]
    response = _stream(image.file, content_type)
    image_download(actor=request.user, image=image)
    response.headers["Content-Disposition"] = f'attachment; filename="image-{image.pk}.{extension}"'
    return response


@require_safe
def heat_map(request: PersonRequest, prediction_id: uuid.UUID, label: str) -> HttpResponse:
    """Where the network looked for one label, painted to be laid over the preview."""
    prediction = get_object_or_404(
        Prediction.objects.visible_to(request.user).select_related("image", "model_version"), pk=prediction_id
    )
    codes = [known["code"] for known in prediction.model_version.labels]
    if not prediction.is_done or label not in codes:
        raise Http404
    values = inference.heat_map(
        activation_maps=bytes(prediction.activation_maps or b""), class_index=codes.index(label)
    )
    image = prediction.image
    return HttpResponse(paint(values, rows=image.rows, columns=image.columns), content_type="image/png")


def _jpeg(file: FieldFile) -> FileResponse:
    return _stream(file, "image/jpeg")


def _stream(file: FieldFile, content_type: str) -> FileResponse:
    try:
        return FileResponse(file.open("rb"), content_type=content_type)
    except FileNotFoundError:
        logger.error("A stored file is missing.", extra={"stored_name": file.name})
        raise Http404 from None
