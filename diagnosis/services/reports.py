"""Reports: what is being written, and what is added to a signed one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis import policies
from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import (
    AuditAction,
    Decision,
    OverrideReason,
    ReportDraft,
    Review,
    ReviewKind,
    Study,
    User,
)
from diagnosis.models.report_text import BLANK
from diagnosis.selectors.cases import hides_read
from diagnosis.selectors.studies import current_review, reader_labels, studies_with_opinion
from diagnosis.services.audit import audit_record
from diagnosis.services.second_reads import review_signed_check
from diagnosis.services.signing import signature_require

#: The sections of a report, in the order in which they are read.
SECTIONS = ("comparison", "findings", "impression")

CHANGED_ELSEWHERE = gettext_lazy(
    "This draft was changed in another window. Nothing was overwritten: choose which text to keep."
)
REPORT_CHANGED = gettext_lazy(
    "Somebody signed a newer version of this report meanwhile. Nothing was signed and your text is kept as a draft: reload "
    "the page and look at the newer version first."
)


class DraftChanged(Conflict):
    """The draft was saved elsewhere since this window loaded it; ``draft`` is how it stands, or ``None`` when it is gone."""

    def __init__(self, draft: ReportDraft | None) -> None:
        super().__init__(CHANGED_ELSEWHERE)
        self.draft = draft


@transaction.atomic
def report_draft_save(
    *,
    author: User,
    study: Study,
    version: int,
    kind: str = ReviewKind.SIGNED,
    basis: Review | None = None,
    **texts: str,
) -> ReportDraft:
    """Keep what ``author`` has typed so far; ``version`` is that of the draft on screen, 0 where there was none.

    ``texts`` are any of ``DRAFT_TEXTS``; the others stay. Raises
    ``DraftChanged`` when another window saved meanwhile, ``ValidationError`` for a text that is too long.
    Drafts are not on record: they are nobody's word until they are signed.
    """
    policies.require(author, policies.Act.SIGN_REVIEW, study.site)
    if basis is not None and basis.study_id != study.pk:
        raise ValidationError({"basis": _("This is a report of another study.")})
    Study.objects.select_for_update().get(pk=study.pk)
    draft = ReportDraft.objects.filter(study=study, author=author).first()
    if (draft.version if draft else 0) != version:
        raise DraftChanged(draft)
    draft = draft or ReportDraft(study=study, author=author, version=0)
    _apply(draft, kind=kind, basis=basis, texts=texts)
    draft.version += 1
    draft.saved_at = timezone.now()
    draft.clean_fields(exclude={"basis"})  # It may be empty, but no form leaves it out.
    draft.save()
    return draft


def _apply(draft: ReportDraft, *, kind: str, basis: Review | None, texts: Mapping[str, str]) -> None:
    if draft.has_text and not draft.fits(kind, basis.pk if basis else None):
        raise NotPossible(
            _(
                "You have written something else about this study that is not signed. Sign or discard that first."
            )
        )
    draft.kind, draft.basis = kind, basis
    for name, text in texts.items():
        setattr(draft, name, text)


@transaction.atomic
def report_draft_discard(*, author: User, study: Study, version: int) -> None:
    """Delete the draft on screen. Raises ``DraftChanged`` when another window saved meanwhile."""
    policies.require(author, policies.Act.SIGN_REVIEW, study.site)
    report_draft_settle(author=author, study=study, version=version)


def report_draft_settle(*, author: User, study: Study, version: int | None) -> None:
    """Delete the draft whose text has just been signed, in the transaction of the signature.

    ``version`` is that of the draft on the signer's screen; ``None``, from a program that knows of no drafts, leaves it.
    Raises ``DraftChanged`` when another window saved a newer one: its text would be signed by nobody and lost.
    """
    if version is None:
        return
    deleted, _unused = ReportDraft.objects.filter(study=study, author=author, version=version).delete()
    if not deleted and (newer := ReportDraft.objects.filter(study=study, author=author).first()):
        raise DraftChanged(newer)


def report_texts_require(**texts: str) -> dict[str, str]:
    """What is to be signed, without space around it. Raises ``ValidationError`` for a blank that nobody has filled in."""
    open_ones = {
        name: _("There is a blank %(blank)s in the text. Fill it in or take it out, then sign.")
        % {"blank": BLANK}
        for name, text in texts.items()
        if BLANK in text
    }
    if open_ones:
        raise ValidationError(open_ones)
    return {name: text.strip() for name, text in texts.items()}


def review_addend(
    *,
    actor: User,
    study: Study,
    follows: Review,
    addendum: str,
    draft_version: int | None = None,
    signing_password: str = "",
) -> Review:
    """Sign an addendum to the report on screen, ``follows``: a new version that repeats it and adds a text.

    Raises ``Conflict`` when a newer version was signed meanwhile, ``ValidationError`` with field errors.
    """
    signature_require(actor=actor, study=study, password=signing_password)
    _report_require_shown(actor, study)
    texts = report_texts_require(addendum=addendum)
    if not texts["addendum"]:
        raise ValidationError({"addendum": _("Write what you want to add.")})
    with transaction.atomic():
        previous = _current_require(study, follows)
        review = _next_version(actor, previous, kind=ReviewKind.ADDENDUM, **texts)
        return _sign(review, previous, AuditAction.REPORT_ADDED_TO, draft_version)


def review_correct(
    *,
    actor: User,
    study: Study,
    follows: Review,
    change_reason: str,
    label: str,
    reason: str = "",
    note: str = "",
    findings: str = "",
    impression: str = "",
    comparison: str = "",
    draft_version: int | None = None,
    signing_password: str = "",
) -> Review:
    """Sign a corrected version of the report on screen, ``follows``: all of it as it shall stand, and why it is changed.

    Whether the label confirms or overrides the second opinion is measured against what the reader of ``follows`` had seen.
    Raises ``Conflict`` when a newer version was signed meanwhile, ``ValidationError`` with field errors, ``NotPossible``
    where the actor has not been shown what the corrected read was based on.
    """
    signature_require(actor=actor, study=study, password=signing_password)
    _report_require_shown(actor, study)
    if not policies.may_see_ai(actor, study):
        raise NotPossible(_("Read this study yourself before you correct its report."))
    texts = report_texts_require(
        findings=findings,
        impression=impression,
        comparison=comparison,
        note=note,
        change_reason=change_reason,
    )
    if not texts["change_reason"]:
        raise ValidationError({"change_reason": _("Write why the report is corrected.")})
    with transaction.atomic():
        previous = _current_require(study, follows)
        labels = {**reader_labels(study), previous.label: previous.label_display}
        if label not in labels:
            raise ValidationError({"label": _("Choose a label from the list.")})
        decision = _decision_on(label, previous)
        if decision == Decision.OVERRIDE and reason not in OverrideReason.values:
            raise ValidationError({"reason": _("Choose why this label is not that of the second opinion.")})
        if (reason == OverrideReason.OTHER or label == "other_finding") and not texts["note"]:
            raise ValidationError({"note": _("Write in the note what you found.")})
        review = _next_version(
            actor,
            previous,
            kind=ReviewKind.CORRECTION,
            decision=decision,
            label=label,
            label_display=labels[label],
            reason=reason if decision == Decision.OVERRIDE else "",
            **texts,
        )
        if not any(getattr(review, name) != getattr(previous, name) for name in CORRECTED):
            raise ValidationError(
                _("Nothing differs from the signed version. Change what is wrong, then sign.")
            )
        return _sign(review, previous, AuditAction.REPORT_CORRECTED, draft_version)


def _report_require_shown(actor: User, study: Study) -> None:
    if hides_read(actor, study):
        raise NotPossible(
            _("The report is hidden from you while you can read this study second. Read it first.")
        )


#: What a correction may change.
CORRECTED = ("label", "reason", "note", *SECTIONS)


def _decision_on(label: str, previous: Review) -> Decision:
    """What ``label`` is to the second opinion that the reader of ``previous`` had on screen."""
    possible = {
        code
        for seen in previous.seen_predictions
        for code in seen.get("possible_labels") or [seen["label"]]
        if code
    }
    if not possible:
        return Decision.UNAIDED
    if label not in possible:
        return Decision.OVERRIDE
    return Decision.CONFIRM if len(possible) == 1 else Decision.DECIDE


def _current_require(study: Study, follows: Review) -> Review:
    """The newest version, under the study's lock; it must be the one that the person has on screen."""
    Study.objects.select_for_update().get(pk=study.pk)
    fresh = studies_with_opinion(Study.objects.filter(pk=study.pk), viewer=None).get()
    current = current_review(fresh)
    if current is None or not fresh.is_read:
        raise NotPossible(_("There is no signed report to add to: read the study first."))
    if current.pk != follows.pk:
        raise Conflict(REPORT_CHANGED)
    return current


def _next_version(actor: User, previous: Review, **changes: Any) -> Review:
    """An unsaved copy of ``previous`` that follows it. An earlier addendum stays where it was signed."""
    repeated = ("study", "protocol", "decision", "label", "label_display", "reason", "note", *SECTIONS)
    values = {name: getattr(previous, name) for name in (*repeated, "seen_predictions")}
    return Review(**{**values, "follows": previous, "reader": actor, **changes})


def _sign(review: Review, previous: Review, action: AuditAction, draft_version: int | None) -> Review:
    review.full_clean(exclude=["seen_predictions"], validate_unique=False, validate_constraints=False)
    try:
        with transaction.atomic():
            review.save(force_insert=True)
    except IntegrityError:
        raise Conflict(REPORT_CHANGED) from None
    report_draft_settle(author=review.reader, study=review.study, version=draft_version)
    audit_record(
        actor=review.reader,
        action=action,
        site=review.study.site,
        patient=review.study.patient,
        target=review,
        details={
            "study": str(review.study_id),
            "follows": str(previous.pk),
            "changed": [name for name in CORRECTED if getattr(review, name) != getattr(previous, name)],
            "label": review.label,
        },
    )
    review_signed_check(actor=review.reader, review=review)
    return review
