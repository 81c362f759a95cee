"""Files of patients: streamed to those who may see them, never addressed directly."""

from __future__ import annotations

import uuid

from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from diagnosis.models import Image, IncomingFile, Prediction
from diagnosis.selectors.files import jpeg_response, original_response
from diagnosis.selectors.heat_maps import heat_map_of
from diagnosis.services.studies import image_download
from diagnosis.web.overlay import paint
from diagnosis.web.requests import PersonRequest


@require_safe
def preview(request: PersonRequest, image_id: uuid.UUID) -> FileResponse:
    return jpeg_response(get_object_or_404(Image.objects.visible_to(request.user), pk=image_id).preview)


@require_safe
def thumbnail(request: PersonRequest, image_id: uuid.UUID) -> FileResponse:
    return jpeg_response(get_object_or_404(Image.objects.visible_to(request.user), pk=image_id).thumbnail)


@require_safe
def waiting_thumbnail(request: PersonRequest, incoming_id: uuid.UUID) -> FileResponse:
    return jpeg_response(_waiting(request, incoming_id).thumbnail)


@require_safe
def waiting_preview(request: PersonRequest, incoming_id: uuid.UUID) -> FileResponse:
    return jpeg_response(_waiting(request, incoming_id).preview)


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
    response = original_response(image)
    image_download(actor=request.user, image=image)
    return response


@require_safe
def heat_map(request: PersonRequest, prediction_id: uuid.UUID, label: str) -> HttpResponse:
    """Where the network looked for one label, painted to be laid over the preview."""
    prediction = get_object_or_404(
        Prediction.objects.visible_to(request.user).select_related("image", "model_version"), pk=prediction_id
    )
    try:
        values = heat_map_of(prediction, label)
    except KeyError:
        raise Http404 from None
    image = prediction.image
    if image.rows is None or image.columns is None:
        raise Http404  # Of what has no picture there is no prediction either.
    return HttpResponse(paint(values, rows=image.rows, columns=image.columns), content_type="image/png")
