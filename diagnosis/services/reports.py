"""What is added to a signed report: an addendum, a correction."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis import policies
from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import AuditAction, Decision, OverrideReason, Review, ReviewKind, Study, User
from diagnosis.models.review import REPORT_SECTIONS
from diagnosis.selectors.cases import hides_read
from diagnosis.selectors.studies import current_review, reader_labels, studies_with_opinion
from diagnosis.services.audit import audit_record
from diagnosis.services.report_drafts import report_draft_settle, report_texts_require
from diagnosis.services.second_reads import review_signed_check
from diagnosis.services.signing import signature_require

REPORT_CHANGED = gettext_lazy(
    "Somebody signed a newer version of this report meanwhile. Nothing was signed and your text is kept as a draft: reload "
    "the page and look at the newer version first."
)


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
CORRECTED = ("label", "reason", "note", *REPORT_SECTIONS)


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
    repeated = ("study", "protocol", "decision", "label", "label_display", "reason", "note", *REPORT_SECTIONS)
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
