"""The models that gave or give the second opinion, each with its card."""

from __future__ import annotations

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from diagnosis.api.schema import errors
from diagnosis.api.serializers.studies import ModelVersionDetailSerializer
from diagnosis.api.views.base import ListView, PortalView
from diagnosis.models import ModelVersion


class ModelListView(ListView):
    serializer_class = ModelVersionDetailSerializer
    queryset = ModelVersion.objects.none()

    @extend_schema(
        operation_id="models_list",
        summary="Models with their cards, the active one first",
        responses={200: ModelVersionDetailSerializer(many=True), **errors(400)},
        tags=["models"],
    )
    def get(self, request: Request) -> Response:
        return self.pages_of(ModelVersion.objects.order_by("-is_active", "-created_at", "-pk"))


class ModelView(PortalView):
    serializer_class = ModelVersionDetailSerializer

    @extend_schema(
        operation_id="models_retrieve",
        summary="One model with its card",
        responses={200: ModelVersionDetailSerializer, **errors(404)},
        tags=["models"],
    )
    def get(self, request: Request, pk: int) -> Response:
        return Response(self.get_serializer(get_object_or_404(ModelVersion, pk=pk)).data)
