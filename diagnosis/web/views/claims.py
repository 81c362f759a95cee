"""Who reads a study now, who is to read it, and how urgent it is: the bar on the study page and the menu of a row."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import trigger_client_event

from diagnosis import policies
from diagnosis.errors import Conflict
from diagnosis.models import Claim, Priority, Study, TakeoverReason, User
from diagnosis.services.claims import (
    claim_end,
    claim_release,
    claim_renew,
    claim_take,
    priority_change,
    reader_assign,
)
from diagnosis.web.clocks import set_clock
from diagnosis.web.params import row_number
from diagnosis.web.requests import PersonRequest
from diagnosis.web.undo import Undo, undo_keep

CHANGED = "worklist-changed"
"""What the pages of the worklist listen for."""


@require_http_methods(["GET", "HEAD", "POST"])
def claim(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """The bar of the study page. ``act`` says what to do first: open (claim a free study), renew, take, release or leave."""
    study = _study(request, study_id)
    problem = ""
    act = request.POST.get("act", "") if request.method == "POST" else ""
    try:
        _do(request, study, act)
    except Conflict:
        pass  # Somebody else was faster: the bar says who.
    except ValidationError as error:
        problem = " ".join(error.messages)
    if act == "leave":
        return HttpResponse(status=204)
    response = render(request, "claims/_bar.html", _bar(request.user, study, problem=problem))
    return trigger_client_event(response, CHANGED) if act in {"take", "release"} else response


def _do(request: PersonRequest, study: Study, act: str) -> None:
    match act:
        case "open":
            if not study.is_read and policies.may(request.user, policies.Act.SIGN_REVIEW, study.site):
                running = Claim.objects.filter(study=study).exclude(holder=request.user)
                if not running.exists():
                    claim_take(actor=request.user, study=study)
        case "renew":
            claim_renew(actor=request.user, study=study)
        case "take":
            claim_take(actor=request.user, study=study, reason=request.POST.get("reason", ""))
        case "release":
            claim_release(actor=request.user, study=study)
        case "leave":
            claim_release(actor=request.user, study=study, opened=request.POST.get("opened", ""))


def _bar(user: User, study: Study, *, problem: str = "") -> dict[str, Any]:
    found = Claim.objects.select_related("holder").filter(study=study).first()
    is_own = found is not None and found.holder_id == user.pk
    return {
        "study": study,
        "claim": found,
        "is_own": is_own,
        "is_running": found is not None and found.is_running,
        "may_claim": policies.may(user, policies.Act.SIGN_REVIEW, study.site),
        "may_end": found is not None
        and not is_own
        and policies.may(user, policies.Act.END_CLAIM, study.site),
        "reasons": TakeoverReason.choices,
        "expired_reason": TakeoverReason.EXPIRED,
        "problem": problem,
    }


@require_POST
def end(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """For administrators: end the claim of somebody else."""
    study = _study(request, study_id)
    problem = ""
    try:
        claim_end(actor=request.user, study=study, reason=request.POST.get("reason", ""))
    except ValidationError as error:
        problem = " ".join(error.messages)
    if not request.htmx:
        return redirect("web:study", study_id)
    response = render(request, "claims/_bar.html", _bar(request.user, study, problem=problem))
    return trigger_client_event(response, CHANGED)


@require_safe
def menu(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """What can be done with a study from its row."""
    study = _study(request, study_id)
    user = request.user
    assigns = policies.may(user, policies.Act.ASSIGN_READER, study.site)
    context = {
        **_bar(user, study),
        "priorities": Priority.choices,
        "may_change_priority": policies.may(user, policies.Act.CHANGE_PRIORITY, study.site),
        "may_assign_self": policies.may(user, policies.Act.SIGN_REVIEW, study.site),
        "readers": policies.readers_at(study.site) if assigns else None,
    }
    return render(request, "worklist/_menu.html", context)


@require_POST
def priority(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    study = _study(request, study_id)
    seen, wanted = request.POST.get("seen", ""), request.POST.get("priority", "")
    try:
        priority_change(actor=request.user, study=study, priority=wanted, seen=seen)
    except ValidationError as error:
        raise Conflict(" ".join(error.messages)) from error
    name = Priority(wanted).label.lower()
    done = Undo.of(
        _("The study is %(priority)s now.") % {"priority": name},
        "web:priority",
        study.pk,
        priority=seen,
        seen=wanted,
    )
    return _done(request, done)


@require_POST
def reader(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """Assign a reader: ``me``, a number of an account, or empty for nobody."""
    study = _study(request, study_id)
    wanted, before = request.POST.get("reader", ""), study.assigned_to_id
    chosen = None
    if wanted == "me":
        chosen = request.user
    elif wanted:
        chosen = policies.readers_at(study.site).filter(pk=row_number(wanted) or 0).first()
        if chosen is None:
            raise Http404
    reader_assign(actor=request.user, study=study, reader=chosen)
    text = (
        _("Assigned to %(person)s.") % {"person": chosen.display_name} if chosen else _("Assigned to nobody.")
    )
    return _done(request, Undo.of(text, "web:reader", study.pk, reader=str(before or "")))


def _done(request: PersonRequest, undo: Undo) -> HttpResponse:
    if request.htmx:
        return trigger_client_event(render(request, "_undo.html", {"undo": undo}), CHANGED)
    undo_keep(request.session, undo)
    return redirect("web:home")


def _study(request: PersonRequest, study_id: uuid.UUID) -> Study:
    studies = Study.objects.visible_to(request.user).select_related("site", "patient", "assigned_to")
    study: Study = get_object_or_404(studies, pk=study_id)
    set_clock(request.user, study.site)
    return study
