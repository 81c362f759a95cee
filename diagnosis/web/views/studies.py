"""The study page: the image, the second opinion, the patient's timeline, the decision."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from diagnosis.errors import Conflict, PersonError
from diagnosis.models import Prediction, Study
from diagnosis.selectors.studies import second_opinion, studies_with_opinion
from diagnosis.services.predictions import prediction_run_again
from diagnosis.services.reviews import review_sign
from diagnosis.services.studies import study_open
from diagnosis.web.chips import priority_chip
from diagnosis.web.forms.review import ReviewForm
from diagnosis.web.outcomes import outcomes_take
from diagnosis.web.overlay import colour_bar
from diagnosis.web.panels import StudyPanels, entry_forms, review_form, study_panels
from diagnosis.web.params import uuids
from diagnosis.web.requests import PersonRequest
from diagnosis.web.timeline import timeline_items


@require_safe
def study_page(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    study = _study(request, study_id)
    study_open(actor=request.user, study=study)
    return _page(request, study, study_panels(request.user, study))


@require_safe
def study_live(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """What changes by itself, as it stands now."""
    return _live_fragment(request, study_id)


@require_POST
def review(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """Sign a read; what was typed comes back with the reason when it could not be signed."""
    study = _study(request, study_id)
    typed = ReviewForm(request.POST, labels={})
    typed.is_valid()
    invalid, problem, status = None, "", 422
    try:
        review_sign(actor=request.user, study=study, **typed.cleaned_data)
    except ValidationError as error:
        invalid = error
    except PersonError as error:
        problem, status = str(error), 409 if isinstance(error, Conflict) else 400
    else:
        if not request.htmx:
            return redirect("web:study", study_id)
        study = _study(request, study_id)
        return trigger_client_event(
            _decision(request, study, study_panels(request.user, study)), "study-changed"
        )
    study = _study(request, study_id)
    bound = review_form(study, second_opinion(study), request.POST)
    bound.is_valid()
    if invalid is not None:
        bound.take_errors(invalid)
    panels = study_panels(request.user, study, bound=bound, problem=problem)
    answer = _decision if request.htmx else _page
    return answer(request, study, panels, status=status)


@require_POST
def run_again(request: PersonRequest, prediction_id: uuid.UUID) -> HttpResponse:
    prediction = get_object_or_404(
        Prediction.objects.visible_to(request.user).select_related("image__site"), pk=prediction_id
    )
    prediction_run_again(actor=request.user, prediction=prediction)
    study_id = prediction.image.study_id
    return _live_fragment(request, study_id) if request.htmx else redirect("web:study", study_id)


def _study(request: PersonRequest, study_id: uuid.UUID) -> Study:
    study = get_object_or_404(studies_with_opinion(Study.objects.visible_to(request.user)), pk=study_id)
    timezone.activate(study.site.tzinfo)
    return study


def _live_fragment(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    study = _study(request, study_id)
    return render(request, "studies/_live.html", _live(study, study_panels(request.user, study)))


def _live(study: Study, panels: StudyPanels) -> dict[str, Any]:
    return {
        "study": study,
        "patient": study.patient,
        "panels": panels,
        "timeline": timeline_items(study.patient, current_study_id=study.pk),
        "current_study_id": study.pk,
        "colour_bar": colour_bar(),
    }


def _decision(
    request: PersonRequest, study: Study, panels: StudyPanels, *, status: int = 200
) -> HttpResponse:
    return render(request, "studies/_decision.html", {"study": study, "panels": panels}, status=status)


def _page(request: PersonRequest, study: Study, panels: StudyPanels, *, status: int = 200) -> HttpResponse:
    wanted = next(iter(uuids(request.GET.getlist("image"))), None)
    shown = next(
        (panel for panel in panels.shown_images if panel.image.pk == wanted),
        next(iter([*panels.shown_images, *panels.images]), None),
    )
    context = {
        **_live(study, panels),
        "shown": shown,
        "priority_chip": priority_chip(study),
        "entry_forms": entry_forms(request.user, study.patient),
        "outcomes": outcomes_take(request),
    }
    return render(request, "studies/study.html", context, status=status)
