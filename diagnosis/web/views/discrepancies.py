"""Late PCR results that contradict a read: taken up and settled on the study's page."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from diagnosis.errors import Conflict, PersonError
from diagnosis.models import Discrepancy
from diagnosis.selectors.cases import discrepancies_of, discrepancies_shown_to
from diagnosis.services.discrepancies import discrepancy_acknowledge, discrepancy_resolve
from diagnosis.web.case_panels import discrepancy_lines
from diagnosis.web.clocks import set_clock
from diagnosis.web.forms.cases import DiscrepancyForm
from diagnosis.web.requests import PersonRequest


@require_POST
def acknowledge(request: PersonRequest, discrepancy_id: uuid.UUID) -> HttpResponse:
    """Say that one looks into it."""
    discrepancy, form = _sent(request, discrepancy_id)
    note = form.cleaned_data.get("note", "")
    return _done(
        request,
        discrepancy,
        form,
        lambda: discrepancy_acknowledge(actor=request.user, discrepancy=discrepancy, note=note),
    )


@require_POST
def resolve(request: PersonRequest, discrepancy_id: uuid.UUID) -> HttpResponse:
    """Settle it with what was decided."""
    discrepancy, form = _sent(request, discrepancy_id)
    values = {name: form.cleaned_data.get(name, "") for name in ("decision", "note")}
    return _done(
        request,
        discrepancy,
        form,
        lambda: discrepancy_resolve(actor=request.user, discrepancy=discrepancy, **values),
    )


def _sent(request: PersonRequest, discrepancy_id: uuid.UUID) -> tuple[Discrepancy, DiscrepancyForm]:
    rows = discrepancies_shown_to(request.user).select_related("review__study__site")
    discrepancy = get_object_or_404(rows, pk=discrepancy_id)
    set_clock(request.user, discrepancy.review.study.site)
    form = DiscrepancyForm(request.POST, number=discrepancy.pk)
    form.is_valid()
    return discrepancy, form


def _done(
    request: PersonRequest, discrepancy: Discrepancy, form: DiscrepancyForm, act: Callable[[], object]
) -> HttpResponse:
    study, problem, bound, status = discrepancy.review.study, None, None, 200
    try:
        act()
    except ValidationError as error:
        form.take_errors(error)
        bound, status = (discrepancy, form), 422
    except PersonError as error:
        problem, status = (discrepancy, str(error)), 409 if isinstance(error, Conflict) else 400
    if status == 200 and not request.htmx:
        return redirect("web:study", study.pk)
    known = discrepancies_of(request.user, study.patient)
    lines = discrepancy_lines(request.user, study, known, bound=bound, problem=problem)
    template = "second_reads/_discrepancies.html" if request.htmx else "second_reads/discrepancies_page.html"
    return render(request, template, {"study": study, "discrepancies": lines}, status=status)
