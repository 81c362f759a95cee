"""Second reads: the queue, and what is done on the study's page."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from diagnosis.errors import Conflict, PersonError
from diagnosis.models import SecondRead, Study
from diagnosis.selectors.case_record import CaseRecord, case_record
from diagnosis.selectors.cases import discrepancies_shown_to
from diagnosis.selectors.second_reads import drawn_shares, second_read_queue
from diagnosis.services.second_reads import (
    second_read_adjudicate,
    second_read_cancel,
    second_read_request,
    second_read_return,
    second_read_sign,
    second_read_take,
    second_read_waive,
)
from diagnosis.web.case_panels import second_read_form, second_read_panel
from diagnosis.web.clocks import set_clock
from diagnosis.web.forms.base import PortalForm
from diagnosis.web.forms.cases import SecondReadRequestForm, WithdrawForm
from diagnosis.web.forms.report import with_draft
from diagnosis.web.queue_rows import discrepancy_rows, queue_rows
from diagnosis.web.requests import PersonRequest


@require_safe
def queue(request: PersonRequest) -> HttpResponse:
    """What waits for a second reader, for a third, and which late PCR results nobody has settled."""
    found = second_read_queue(request.user)
    unsettled = discrepancies_shown_to(request.user).exclude(state="resolved")
    context = {
        "to_read": queue_rows(request.user, found.to_read),
        "to_adjudicate": queue_rows(request.user, found.to_adjudicate),
        "others": queue_rows(request.user, found.others),
        "held": found.held,
        "more": found.more,
        "discrepancies": discrepancy_rows(unsettled),
        "shares": drawn_shares(request.user),
    }
    return render(request, "second_reads/queue.html", context)


@require_POST
def request_one(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    study = _case(request, study_id).study
    form = SecondReadRequestForm(request.POST)
    form.is_valid()
    return _done(
        request,
        study,
        lambda: second_read_request(actor=request.user, study=study, note=form.cleaned_data["note"]),
        form,
        "request",
    )


@require_POST
def waive(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """Show the read to somebody who then reads it second no more."""
    study = _case(request, study_id).study
    second_read_waive(actor=request.user, study=study)
    return redirect("web:study", study_id)


@require_POST
def take(request: PersonRequest, second_read_id: uuid.UUID) -> HttpResponse:
    second_read = _second_read(request, second_read_id)
    second_read_take(actor=request.user, second_read=second_read)
    return redirect("web:study", second_read.study_id)


@require_POST
def give_back(request: PersonRequest, second_read_id: uuid.UUID) -> HttpResponse:
    second_read_return(actor=request.user, second_read=_second_read(request, second_read_id))
    return redirect("web:second_reads")


@require_POST
def sign(request: PersonRequest, second_read_id: uuid.UUID) -> HttpResponse:
    """The second read, or, where two readers disagree, the third's decision."""
    second_read = _second_read(request, second_read_id)
    case = _case(request, second_read.study_id)
    form = second_read_form(case, with_draft(request.POST, case.draft))
    form.is_valid()

    def act() -> object:
        values = form.cleaned_data
        if second_read.wants_adjudication:
            own = {name: values[name] for name in ("label", "confidence", "note", "signing_password")}
            return second_read_adjudicate(actor=request.user, second_read=second_read, **own)
        return second_read_sign(actor=request.user, second_read=second_read, **values)

    return _done(request, case.study, act, form, "bound")


@require_POST
def withdraw(request: PersonRequest, second_read_id: uuid.UUID) -> HttpResponse:
    second_read = _second_read(request, second_read_id)
    study = _case(request, second_read.study_id).study
    form = WithdrawForm(request.POST)
    form.is_valid()
    return _done(
        request,
        study,
        lambda: second_read_cancel(
            actor=request.user, second_read=second_read, reason=form.cleaned_data["reason"]
        ),
        form,
        "withdraw",
    )


def _done(
    request: PersonRequest,
    study: Study,
    act: Callable[[], object],
    form: PortalForm,
    name: str,
) -> HttpResponse:
    """Back to the study, as it is now; or the panel again, with what was typed and what is wrong with it."""
    problem, status = "", 422
    try:
        act()
    except ValidationError as error:
        form.take_errors(error)
    except PersonError as error:
        problem, status = str(error), 409 if isinstance(error, Conflict) else 400
    else:
        # All of the page changes: what was hidden from the reader is shown now.
        address = reverse("web:study", args=[study.pk])
        return HttpResponseClientRedirect(address) if request.htmx else redirect(address)
    case = _case(request, study.pk)
    panel = second_read_panel(request.user, case, problem=problem, **{name: form})  # type: ignore[arg-type]
    template = "second_reads/_study.html" if request.htmx else "second_reads/panel_page.html"
    return render(request, template, {"study": case.study, "second_read": panel}, status=status)


def _second_read(request: PersonRequest, second_read_id: uuid.UUID) -> SecondRead:
    rows = SecondRead.objects.visible_to(request.user).select_related("study__site")
    second_read: SecondRead = get_object_or_404(rows, pk=second_read_id)
    set_clock(request.user, second_read.study.site)
    return second_read


def _case(request: PersonRequest, study_id: uuid.UUID) -> CaseRecord:
    case = case_record(request.user, study_id)
    if case is None:
        raise Http404
    set_clock(request.user, case.study.site)
    return case
