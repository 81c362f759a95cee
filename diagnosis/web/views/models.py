"""The models that gave or give a second opinion, each with its card: for every person who reads what they say."""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from diagnosis.models import ModelPicture, ModelVersion
from diagnosis.web.model_card import CardPage
from diagnosis.web.requests import PersonRequest


@require_safe
def model_list(request: PersonRequest) -> HttpResponse:
    versions = ModelVersion.objects.defer("card").order_by("-is_active", "-created_at", "-pk")
    return render(request, "models/list.html", {"versions": versions})


@require_safe
def model_page(request: PersonRequest, model_id: int) -> HttpResponse:
    version = get_object_or_404(ModelVersion, pk=model_id)
    names = version.pictures.values_list("name", flat=True)
    return render(
        request, "models/model.html", {"version": version, "page": CardPage.of(version.card, list(names))}
    )


@require_safe
def model_card(request: PersonRequest, model_id: int) -> JsonResponse:
    """The card as it was registered: every figure, for a program or a colleague."""
    version = get_object_or_404(ModelVersion, pk=model_id)
    return JsonResponse(version.card, json_dumps_params={"indent": 2, "ensure_ascii": False})


@require_safe
def model_picture(request: PersonRequest, model_id: int, name: str) -> HttpResponse:
    """A plot of the card, from the record: the folder on disk may hold another model by now."""
    picture = get_object_or_404(ModelPicture, model_version=model_id, name=name)
    return HttpResponse(bytes(picture.content), content_type="image/png")
