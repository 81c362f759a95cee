"""The study page: the image, the second opinion, the patient's timeline, the decision."""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from diagnosis.errors import Conflict, PersonError
from diagnosis.models import User
from diagnosis.selectors.case_record import CaseRecord, case_record
from diagnosis.selectors.cases import discrepancies_of
from diagnosis.selectors.reading import reading_of
from diagnosis.selectors.studies import predictions_shown, second_opinion
from diagnosis.services.first_reads import first_read_lock, opinion_reveal
from diagnosis.services.predictions import prediction_run_again
from diagnosis.services.reviews import review_sign
from diagnosis.services.studies import study_open
from diagnosis.web.case_panels import case_panels
from diagnosis.web.chips import priority_chip
from diagnosis.web.clocks import set_clock
from diagnosis.web.forms.report import with_draft
from diagnosis.web.forms.review import FirstReadForm, ReviewForm
from diagnosis.web.outcomes import outcomes_take
from diagnosis.web.overlay import colour_bar
from diagnosis.web.panels import StudyPanels, entry_forms, first_read_form, review_form, study_panels
from diagnosis.web.params import uuids
from diagnosis.web.requests import PersonRequest
from diagnosis.web.timeline import timeline_in
from diagnosis.web.viewer import viewer_of


@require_safe
def study_page(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    case = _case(request, study_id)
    study_open(actor=request.user, study=case.study)
    return _page(request, case, study_panels(request.user, case))


@require_safe
def study_live(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """What changes by itself, as it stands now; ``images`` names those that are on screen."""
    return _live_fragment(request, study_id, shown_images=_shown_images(request.GET))


@require_POST
def first_read(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """Lock a read of one's own; the second opinion comes with the answer where it is complete."""
    study = _case(request, study_id).study
    typed = FirstReadForm(request.POST, labels={})
    typed.is_valid()
    try:
        first_read_lock(actor=request.user, study=study, **typed.cleaned_data)
    except (ValidationError, PersonError) as error:
        return _not_locked(request, study_id, error)
    if not request.htmx:
        return redirect("web:study", study_id)
    return _live_fragment(request, study_id, shown_images=_shown_images(request.POST))


def _not_locked(request: PersonRequest, study_id: uuid.UUID, error: Exception) -> HttpResponse:
    case = _case(request, study_id)
    study = case.study
    shown = _shown_images(request.POST) if request.htmx else None
    reading = reading_of(request.user, study)
    bound = first_read_form(study, reading.image_set if shown is None else shown, request.POST)
    bound.is_valid()
    problem, status = "", 422
    if isinstance(error, ValidationError):
        bound.take_errors(error)
    else:
        problem, status = str(error), 409 if isinstance(error, Conflict) else 400
    panels = study_panels(request.user, case, shown_images=shown, bound=bound, problem=problem)
    if request.htmx:
        return render(request, "studies/_live.html", _live(request.user, case, panels), status=status)
    return _page(request, case, panels, status=status)


@require_POST
def reveal(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """Show the second opinion that came after the own read was locked."""
    # Where it is being analysed anew the page goes on waiting; where somebody signed meanwhile it shows that.
    with contextlib.suppress(Conflict):
        opinion_reveal(actor=request.user, study=_case(request, study_id).study)
    if not request.htmx:
        return redirect("web:study", study_id)
    return _live_fragment(request, study_id, shown_images=_shown_images(request.POST))


@require_POST
def review(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """Sign a read; what was typed comes back with the reason when it could not be signed."""
    case = _case(request, study_id)
    typed = ReviewForm(with_draft(request.POST, case.draft), labels={})
    typed.is_valid()
    invalid, problem, status = None, "", 422
    try:
        review_sign(actor=request.user, study=case.study, **typed.cleaned_data)
    except ValidationError as error:
        invalid = error
    except PersonError as error:
        problem, status = str(error), 409 if isinstance(error, Conflict) else 400
    else:
        if not request.htmx:
            return redirect("web:study", study_id)
        case = _case(request, study_id)
        response = _decision(request, case, study_panels(request.user, case))
        return trigger_client_event(trigger_client_event(response, "report-signed"), "study-changed")
    case = _case(request, study_id)
    study = case.study
    bound = review_form(study, second_opinion(study), reading_of(request.user, study), request.POST)
    bound.is_valid()
    if invalid is not None:
        bound.take_errors(invalid)
    panels = study_panels(request.user, case, bound=bound, problem=problem)
    answer = _decision if request.htmx else _page
    return answer(request, case, panels, status=status)


@require_POST
def run_again(request: PersonRequest, prediction_id: uuid.UUID) -> HttpResponse:
    prediction = get_object_or_404(
        predictions_shown(request.user).select_related("image__site"), pk=prediction_id
    )
    prediction_run_again(actor=request.user, prediction=prediction)
    study_id = prediction.image.study_id
    return _live_fragment(request, study_id) if request.htmx else redirect("web:study", study_id)


def _case(request: PersonRequest, study_id: uuid.UUID) -> CaseRecord:
    case = case_record(request.user, study_id)
    if case is None:
        raise Http404
    set_clock(request.user, case.study.site)
    return case


def _shown_images(values: QueryDict) -> str | None:
    """Which images are on screen, as the page that holds the fragment says; ``None`` where it says nothing."""
    return values.get("images")


def _live_fragment(
    request: PersonRequest, study_id: uuid.UUID, *, shown_images: str | None = None
) -> HttpResponse:
    case = _case(request, study_id)
    panels = study_panels(request.user, case, shown_images=shown_images)
    return render(request, "studies/_live.html", _live(request.user, case, panels))


def _live(viewer: User, case: CaseRecord, panels: StudyPanels) -> dict[str, Any]:
    study = case.study
    late = discrepancies_of(viewer, study.patient)
    return {
        "study": study,
        "patient": study.patient,
        "panels": panels,
        "timeline": timeline_in(case, late, viewer=viewer),
        "current_study_id": study.pk,
        "colour_bar": colour_bar(),
        "cases": case_panels(viewer, case, late),
    }


def _decision(
    request: PersonRequest, case: CaseRecord, panels: StudyPanels, *, status: int = 200
) -> HttpResponse:
    return render(request, "studies/_decision.html", {"study": case.study, "panels": panels}, status=status)


def _page(
    request: PersonRequest, case: CaseRecord, panels: StudyPanels, *, status: int = 200
) -> HttpResponse:
    wanted = next(iter(uuids(request.GET.getlist("image"))), None)
    shown = next(
        (panel for panel in panels.shown_images if panel.image.pk == wanted),
        next(iter([*panels.shown_images, *panels.images]), None),
    )
    context = {
        **_live(request.user, case, panels),
        "shown": shown,
        "viewer": viewer_of(request.user, case, shown.image if shown else None),
        "priority_chip": priority_chip(case.study),
        "entry_forms": entry_forms(request.user, case.study.patient),
        "outcomes": outcomes_take(request),
    }
    return render(request, "studies/study.html", context, status=status)
