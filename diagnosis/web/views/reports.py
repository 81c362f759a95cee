"""Reports: drafts while they are written; versions, addenda, corrections and paper once they are signed."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpResponse, JsonResponse, QueryDict
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from diagnosis import policies
from diagnosis.errors import Conflict, NotPossible, PersonError
from diagnosis.models import ReportDraft, Review, ReviewKind, Study
from diagnosis.models.report_draft import DRAFT_FIELDS, DRAFT_TEXTS
from diagnosis.selectors.reports import Version, own_draft
from diagnosis.selectors.studies import reader_labels, studies_with_opinion
from diagnosis.services.report_drafts import DraftChanged, report_draft_discard, report_draft_save
from diagnosis.services.report_opening import report_open, report_print
from diagnosis.services.reports import review_addend, review_correct
from diagnosis.services.signing import signature_is_asked
from diagnosis.web.clocks import set_clock
from diagnosis.web.forms.report import AddendumForm, CorrectionForm, as_signed
from diagnosis.web.params import row_number, uuids
from diagnosis.web.report_panel import kept_lines, report_editor, saved_words
from diagnosis.web.requests import PersonRequest

SOMEBODY_ELSE = gettext_lazy(
    "Somebody else has logged in in this browser. Nothing was saved: copy what you typed, log in yourself and "
    "reload the page."
)


@require_http_methods(["GET", "HEAD", "POST"])
def draft(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """Save what was typed so far; a script asks how the draft stands after somebody has logged in again."""
    study = _study(request, study_id)
    policies.require(request.user, policies.Act.SIGN_REVIEW, study.site)
    if request.method != "POST":
        kept = own_draft(request.user, study)
        return JsonResponse(
            {**_told(kept), "texts": _texts(kept), "author": request.user.pk, "csrf": get_token(request)}
        )
    return _answer(request, study, lambda: _save(request, study))


@require_POST
def draft_discard(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    study = _study(request, study_id)
    version = row_number(request.POST.get("draft_version")) or 0

    def discard() -> None:
        report_draft_discard(author=request.user, study=study, version=version)

    return _answer(request, study, discard)


def _save(request: PersonRequest, study: Study) -> ReportDraft:
    sent = request.POST
    if row_number(sent.get("author")) != request.user.pk:
        raise NotPossible(SOMEBODY_ELSE)
    basis = Review.objects.filter(study=study, pk__in=uuids(sent.getlist("basis"))[:1]).first()
    return report_draft_save(
        author=request.user,
        study=study,
        version=row_number(sent.get("draft_version")) or 0,
        kind=sent.get("kind", ReviewKind.SIGNED),
        basis=basis,
        **{name: _lines(sent[name]) for name in DRAFT_FIELDS if name in sent},
    )


def _lines(text: str) -> str:
    """Forms end their lines as HTTP does; what comes back must be what was typed."""
    return text.replace("\r\n", "\n").replace("\x00", "")


def _answer(request: PersonRequest, study: Study, act: Any) -> HttpResponse:
    """For a script what became of the act; without one the study page, or the page of the error."""
    if request.headers.get("Accept") != "application/json":
        act()
        return redirect("web:study", study.pk)
    try:
        return JsonResponse(_told(act()))
    except DraftChanged as error:
        return JsonResponse(
            {"sentence": str(error), **_told(error.draft), "texts": _texts(error.draft)}, status=409
        )
    except PersonError as error:
        return JsonResponse({"sentence": str(error)}, status=400)
    except ValidationError as error:
        return JsonResponse({"sentence": " ".join(error.messages)}, status=422)


def _told(draft: ReportDraft | None) -> dict[str, Any]:
    return {"version": draft.version if draft else 0, "saved": saved_words(draft) if draft else ""}


def _begun(draft: ReportDraft) -> dict[str, str]:
    """What a correction goes on with: the words, and the choices where a label was chosen."""
    return {name: getattr(draft, name) for name in (DRAFT_FIELDS if draft.label else DRAFT_TEXTS)}


def _texts(draft: ReportDraft | None) -> dict[str, str]:
    return {name: getattr(draft, name, "") for name in DRAFT_FIELDS}


@require_safe
def report(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    """All versions, what each changed, and the forms that sign a new one."""
    study = _study(request, study_id)
    return _page(request, study, report_open(actor=request.user, study=study))


@require_POST
def addendum(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    study = _study(request, study_id)
    form = AddendumForm(request.POST)
    return _signed(
        request,
        study,
        form,
        lambda: review_addend(
            actor=request.user, study=study, follows=_follows(study, request.POST), **form.cleaned_data
        ),
    )


@require_POST
def correction(request: PersonRequest, study_id: uuid.UUID) -> HttpResponse:
    study = _study(request, study_id)
    form = CorrectionForm(request.POST, labels=reader_labels(study))
    return _signed(
        request,
        study,
        form,
        lambda: review_correct(
            actor=request.user, study=study, follows=_follows(study, request.POST), **form.cleaned_data
        ),
    )


def _follows(study: Study, sent: QueryDict) -> Review:
    """The version that was on screen."""
    return get_object_or_404(Review, study=study, pk=next(iter(uuids(sent.getlist("follows"))), None))


def _signed(request: PersonRequest, study: Study, form: Any, sign: Any) -> HttpResponse:
    """The report with its new version; or the form again with what was typed, and why it was not signed."""
    problem, status = "", 422
    try:
        if form.submit(sign):
            return redirect("web:report", study.pk)
    except PersonError as error:
        problem, status = str(error), 409 if isinstance(error, Conflict) else 400
    versions = report_open(actor=request.user, study=study)
    return _page(request, study, versions, bound=form, problem=problem, status=status)


@require_safe
def report_pdf(request: PersonRequest, review_id: uuid.UUID) -> HttpResponse:
    review = get_object_or_404(
        Review.objects.visible_to(request.user).select_related("study__site", "study__patient"), pk=review_id
    )
    response = HttpResponse(report_print(actor=request.user, review=review), content_type="application/pdf")
    # Browsers keep the names of downloads: it names nobody.
    response.headers["Content-Disposition"] = f'inline; filename="report-{review.pk}.pdf"'
    return response


def _study(request: PersonRequest, study_id: uuid.UUID) -> Study:
    study = get_object_or_404(
        studies_with_opinion(Study.objects.visible_to(request.user), viewer=request.user), pk=study_id
    )
    set_clock(request.user, study.site)
    return study


def _page(
    request: PersonRequest,
    study: Study,
    versions: list[Version],
    *,
    bound: AddendumForm | CorrectionForm | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    newest = versions[-1].review
    may_sign = study.is_read and policies.may(request.user, policies.Act.SIGN_REVIEW, study.site)
    context: dict[str, Any] = {
        "study": study,
        "patient": study.patient,
        "versions": versions[::-1],
        "newest": newest,
        "may_sign": may_sign,
        "problem": problem,
    }
    if may_sign:
        context |= _forms(request, study, newest, bound)
    return render(request, "reports/report.html", context, status=status)


def _forms(
    request: PersonRequest, study: Study, newest: Review, bound: AddendumForm | CorrectionForm | None
) -> dict[str, Any]:
    """The forms that sign a new version, with what the draft holds of them."""
    draft = own_draft(request.user, study)
    adds = report_editor(request.user, study, kind=ReviewKind.ADDENDUM, basis=newest, draft=draft)
    corrects = report_editor(request.user, study, kind=ReviewKind.CORRECTION, basis=newest, draft=draft)
    labels = {**reader_labels(study), newest.label: newest.label_display}
    begun = as_signed(newest) | (_begun(corrects.draft) if corrects.draft else {})
    kept = draft if draft and draft.has_text and not (adds.draft or corrects.draft) else None
    return {
        "adds": adds,
        "corrects": corrects,
        "kept": kept,
        "kept_lines": kept_lines(kept, study) if kept else [],
        "asks_password": signature_is_asked(study),
        "begun": json.dumps(as_signed(newest)),
        # A form that asked only where the network had said something would tell those who are to read without it.
        "asks_reason": not policies.may_see_ai(request.user, study)
        or any(seen["label"] for seen in newest.seen_predictions),
        "addendum_form": bound
        if isinstance(bound, AddendumForm)
        else AddendumForm(initial=_texts(adds.draft)),
        "correction_form": bound
        if isinstance(bound, CorrectionForm)
        else CorrectionForm(labels=labels, initial=begun),
    }
