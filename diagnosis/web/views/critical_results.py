"""Critical results: flagged beside the image, acknowledged on a page of their own, to which mails lead."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from diagnosis.errors import Conflict, PersonError
from diagnosis.models import CriticalResult, CriticalState, Study
from diagnosis.selectors.critical_results import critical_findings, open_critical_results, with_history
from diagnosis.services.critical_results import (
    critical_acknowledge,
    critical_cancel,
    critical_flag,
    critical_result_open,
    critical_tell,
)
from diagnosis.web.case_panels import CriticalLine, critical_line, critical_panel
from diagnosis.web.clocks import set_clock
from diagnosis.web.forms.cases import CriticalCancelForm, CriticalFlagForm, CriticalToldForm
from diagnosis.web.requests import PersonRequest

RECENT = 25


@require_safe
def results(request: PersonRequest) -> HttpResponse:
    """What nobody has acknowledged yet, and the last ones that somebody has."""
    open_ones = with_history(open_critical_results(request.user))
    closed = with_history(
        CriticalResult.objects.visible_to(request.user).exclude(state=CriticalState.OPEN)
    ).order_by("-flagged_at")[:RECENT]
    return render(request, "critical/list.html", {"open": open_ones, "closed": closed})


@require_safe
def result(request: PersonRequest, result_id: uuid.UUID) -> HttpResponse:
    """One critical result: what was found, who was told, and the button that acknowledges it."""
    found = _result(request, result_id)
    critical_result_open(actor=request.user, critical_result=found)
    return _page(request, critical_line(request.user, found))


@require_POST
def flag(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    study: Study = get_object_or_404(
        Study.objects.visible_to(request.user).select_related("site", "patient"), pk=study_id
    )
    set_clock(request.user, study.site)
    form = CriticalFlagForm(request.POST, findings=critical_findings(study.site))
    problem, status = "", 422
    if form.is_valid():
        try:
            flagged = critical_flag(actor=request.user, study=study, **form.cleaned_data)
        except ValidationError as error:
            form.take_errors(error)
        except PersonError as error:
            problem, status = str(error), 409 if isinstance(error, Conflict) else 400
        else:
            if not request.htmx:
                return redirect("web:critical_result", flagged.pk)
            panel = critical_panel(request.user, study, is_flagged=True)
            return render(request, "critical/_study.html", {"study": study, "critical": panel})
    panel = critical_panel(request.user, study, bound=form, problem=problem)
    template = "critical/_study.html" if request.htmx else "critical/flag_page.html"
    return render(request, template, {"study": study, "critical": panel}, status=status)


@require_POST
def acknowledge(request: PersonRequest, result_id: uuid.UUID) -> HttpResponse:
    found = _result(request, result_id)
    try:
        critical_acknowledge(actor=request.user, critical_result=found)
    except PersonError as error:
        return _refused(request, result_id, error)
    return redirect("web:critical_result", found.pk)


@require_POST
def tell(request: PersonRequest, result_id: uuid.UUID) -> HttpResponse:
    found = _result(request, result_id)
    form = CriticalToldForm(request.POST, number=found.pk)
    if form.is_valid():
        try:
            critical_tell(actor=request.user, critical_result=found, **form.cleaned_data)
        except ValidationError as error:
            form.take_errors(error)
        except PersonError as error:
            return _refused(request, result_id, error)
        else:
            return redirect("web:critical_result", found.pk)
    return _page(request, critical_line(request.user, found, told=form), status=422)


@require_POST
def cancel(request: PersonRequest, result_id: uuid.UUID) -> HttpResponse:
    found = _result(request, result_id)
    form = CriticalCancelForm(request.POST, number=found.pk)
    form.is_valid()
    try:
        critical_cancel(actor=request.user, critical_result=found, reason=form.cleaned_data["reason"])
    except ValidationError as error:
        form.take_errors(error)
        return _page(request, critical_line(request.user, found, cancel=form), status=422)
    except PersonError as error:
        return _refused(request, result_id, error)
    return redirect("web:critical_result", found.pk)


def _refused(request: PersonRequest, result_id: uuid.UUID, error: PersonError) -> HttpResponse:
    """The page as it stands now, with the sentence."""
    line = critical_line(request.user, _result(request, result_id), problem=str(error))
    return _page(request, line, status=409 if isinstance(error, Conflict) else 400)


def _page(request: PersonRequest, line: CriticalLine, *, status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {"line": line, "study": line.result.study, "patient": line.result.study.patient}
    return render(request, "critical/result.html", context, status=status)


def _result(request: PersonRequest, result_id: uuid.UUID) -> CriticalResult:
    rows = with_history(CriticalResult.objects.visible_to(request.user))
    found: CriticalResult = get_object_or_404(rows, pk=result_id)
    set_clock(request.user, found.study.site)
    return found
