"""Files of patients: streamed to those who may see them, never addressed directly."""

from __future__ import annotations

import uuid

from django.http import FileResponse, Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from diagnosis.models import Image, IncomingFile
from diagnosis.selectors.files import jpeg_response, original_response
from diagnosis.selectors.heat_maps import heat_map_of
from diagnosis.selectors.studies import predictions_shown
from diagnosis.selectors.viewing import NATIVE, samples, told_to_viewer
from diagnosis.services.openings import OPENING_HEADER, study_open_once
from diagnosis.services.studies import image_download
from diagnosis.web.overlay import paint
from diagnosis.web.requests import PersonRequest
from ml.imaging import ImageRefused


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
        predictions_shown(request.user).select_related("image", "model_version"), pk=prediction_id
    )
    try:
        values = heat_map_of(prediction, label)
    except KeyError:
        raise Http404 from None
    image = prediction.image
    if image.rows is None or image.columns is None:
        raise Http404  # Of what has no picture there is no prediction either.
    return HttpResponse(paint(values, rows=image.rows, columns=image.columns), content_type="image/png")


@require_safe
def viewing(request: PersonRequest, image_id: uuid.UUID) -> JsonResponse:
    """How the samples of an image become the picture, and what lengths in it mean."""
    image = _shown_image(request, image_id)
    try:
        return JsonResponse(told_to_viewer(image))
    except (FileNotFoundError, ImageRefused):
        raise Http404 from None


@require_safe
def image_samples(request: PersonRequest, image_id: uuid.UUID) -> HttpResponse:
    """The samples of an image that DICOMweb does not serve: little endian, row after row."""
    image = _shown_image(request, image_id)
    try:
        content = samples(image)
    except (FileNotFoundError, ImageRefused):
        raise Http404 from None
    ticket = study_open_once(
        actor=request.user, study=image.study, ticket=request.headers.get(OPENING_HEADER, "")
    )
    return HttpResponse(content, content_type=NATIVE, headers={OPENING_HEADER: ticket})


def _shown_image(request: PersonRequest, image_id: uuid.UUID) -> Image:
    """Decoded here is only what was decoded at its intake, apart: a file that ends its decoder must not end a web server."""
    return get_object_or_404(
        Image.objects.visible_to(request.user)
        .exclude(preview="")
        .select_related("study__site", "study__patient"),
        pk=image_id,
    )
