"""Images, and the network's opinion on each."""

from __future__ import annotations

import io
from uuid import UUID

import numpy as np
from django.db.models import Prefetch
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from diagnosis.api.schema import errors, file_of
from diagnosis.api.serializers.studies import ImageSerializer, PredictionSerializer
from diagnosis.api.views.base import PortalView
from diagnosis.models import Image, Prediction
from diagnosis.selectors.files import ORIGINALS, jpeg_response, original_response
from diagnosis.selectors.heat_maps import heat_map_of
from diagnosis.selectors.studies import predictions_shown
from diagnosis.services.predictions import prediction_run_again
from diagnosis.services.studies import image_download, study_open
from ml.imaging import render_png

# Large, and in no answer.
UNSHOWN_CARD = ("model_version__card",)
UNSHOWN = ("activation_maps", *UNSHOWN_CARD)


class _OneImage(PortalView):
    """An address below that of an image."""

    def image(self, pk: UUID) -> Image:
        predictions = predictions_shown(self.person).select_related("model_version").defer(*UNSHOWN)
        images = Image.objects.visible_to(self.person).select_related("site", "study__site", "study__patient")
        return get_object_or_404(images.prefetch_related(Prefetch("predictions", predictions)), pk=pk)


class ImageView(_OneImage):
    serializer_class = ImageSerializer

    @extend_schema(
        operation_id="images_retrieve",
        summary="An image and its second opinion",
        responses={200: ImageSerializer, **errors(404)},
        tags=["images"],
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """On record as an opening of its study."""
        image = self.image(pk)
        study_open(actor=self.person, study=image.study)
        return Response(self.get_serializer(image).data)


class OriginalView(_OneImage):
    serializer_class = None

    @extend_schema(
        operation_id="images_original",
        summary="The file as it came",
        responses={**file_of(*(media_type for media_type, _ in ORIGINALS.values())), **errors(404)},
        tags=["images"],
    )
    def get(self, request: Request, pk: UUID) -> FileResponse:
        """On record as a download."""
        image = self.image(pk)
        response = original_response(image)
        image_download(actor=self.person, image=image)
        return response


class PreviewView(_OneImage):
    serializer_class = None

    @extend_schema(
        operation_id="images_preview",
        summary="The image as a JPEG to look at",
        responses={**file_of("image/jpeg"), **errors(404)},
        tags=["images"],
    )
    def get(self, request: Request, pk: UUID) -> FileResponse:
        """8 bits, 2048 pixels on the longer side at most. On record as an opening of its study."""
        image = self.image(pk)
        study_open(actor=self.person, study=image.study)
        return jpeg_response(image.preview)


class _OnePrediction(PortalView):
    """An address below that of a prediction."""

    def prediction(self, pk: UUID, unshown: tuple[str, ...] = UNSHOWN) -> Prediction:
        predictions = predictions_shown(self.person).select_related(
            "model_version", "image__site", "image__study__site", "image__study__patient"
        )
        return get_object_or_404(predictions.defer(*unshown), pk=pk)


class PredictionView(_OnePrediction):
    serializer_class = PredictionSerializer

    @extend_schema(
        operation_id="predictions_retrieve",
        summary="One second opinion",
        responses={200: PredictionSerializer, **errors(404)},
        tags=["images"],
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """On record as an opening of its study."""
        prediction = self.prediction(pk)
        study_open(actor=self.person, study=prediction.image.study)
        return Response(self.get_serializer(prediction).data)


class RunAgainView(_OnePrediction):
    serializer_class = PredictionSerializer

    @extend_schema(
        operation_id="predictions_run_again",
        summary="Run a failed analysis again",
        request=None,
        responses={202: PredictionSerializer, **errors(403, 404, 409)},
        tags=["images"],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        prediction_run_again(actor=self.person, prediction=self.prediction(pk))
        return Response(self.get_serializer(self.prediction(pk)).data, status=202)


class HeatMapView(_OnePrediction):
    serializer_class = None
    query_parameters = frozenset({"format"})

    @extend_schema(
        operation_id="predictions_heat_map",
        summary="Where the network looked for one label",
        parameters=[
            OpenApiParameter(
                "format",
                str,
                enum=["png", "npy"],
                default="png",
                description="npy: float32 (224, 224) in 0..1.",
            )
        ],
        responses={**file_of("image/png", "application/octet-stream"), **errors(400, 404, 409)},
        tags=["images"],
    )
    def get(self, request: Request, pk: UUID, label: str) -> HttpResponse:
        """224 x 224, black 0 to white 1, aligned with the image stretched to a square. On record as an opening of its study."""
        file_format = request.query_params.get("format", "png")
        if file_format not in ("png", "npy"):
            raise ValidationError({"format": _("Ask for png or npy.")})
        prediction = self.prediction(pk, unshown=UNSHOWN_CARD)
        try:
            heat_map = heat_map_of(prediction, label)
        except KeyError:
            raise Http404 from None
        study_open(actor=self.person, study=prediction.image.study)
        if file_format == "png":
            return HttpResponse(render_png(heat_map), content_type="image/png")
        array = io.BytesIO()
        np.save(array, heat_map, allow_pickle=False)
        return HttpResponse(array.getvalue(), content_type="application/octet-stream")
