"""A radiologist's decision on a study."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import AuditAction, Decision, FirstRead, OverrideReason, Review, Study, User
from diagnosis.selectors.reading import Reading, reading_of
from diagnosis.selectors.studies import (
    SecondOpinion,
    current_review,
    reader_labels,
    second_opinion,
    studies_with_opinion,
)
from diagnosis.services.audit import audit_record
from diagnosis.services.claims import claim_release, claim_require_free
from diagnosis.services.first_reads import LOCK_FIRST, seen_predictions
from diagnosis.services.predictions import study_apply
from diagnosis.services.report_drafts import report_draft_settle, report_texts_require
from diagnosis.services.second_reads import review_signed_check
from diagnosis.services.signing import signature_require
from diagnosis.services.transitions import StudyEvent

OPINION_CHANGED = gettext_lazy(
    "The second opinion changed while you were reading. Nothing was signed: "
    "look at the new result, then decide again."
)
IMAGES_CAME = gettext_lazy(
    "Images were added to this study after you locked your read. Nothing was signed: look at them, then lock your read "
    "again."
)


def _read_meanwhile(review: Review | None) -> Conflict:
    if review is None:
        return Conflict(
            _("This study was changed while you were reading. Nothing was signed: reload the page.")
        )
    return Conflict(
        _(
            "%(person)s signed this study first (%(decision)s: %(label)s). Your read was not signed: "
            "reload the page to see theirs."
        )
        % {
            "person": review.reader.display_name,
            "decision": review.get_decision_display().lower(),
            "label": review.label_display,
        }
    )


def _waits_for_second_reader(study: Study) -> Conflict:
    first = Review.objects.select_related("reader").filter(study=study).latest("signed_at")
    return Conflict(
        _(
            "%(person)s signed this study first, and a second reader is wanted. Your read was not signed, and theirs is hidden "
            "from you: reload the page to take the second read, or to see theirs."
        )
        % {"person": first.reader.display_name}
    )


def review_sign(
    *,
    actor: User,
    study: Study,
    decision: str,
    opinion_token: str,
    label: str = "",
    reason: str = "",
    note: str = "",
    findings: str = "",
    impression: str = "",
    comparison: str = "",
    draft_version: int | None = None,
    signing_password: str = "",
) -> Review:
    """Sign a read of ``study``; it is never edited afterwards.

    Where the second opinion names one label a reader confirms or overrides it. Where it names several (the model is
    unsure, or the images differ) there is nothing to confirm: a reader decides for one of them, or overrides all. At a site
    that reads first a reader has locked a first read before; without its reveal there is no second opinion to this reader,
    whatever the network has said meanwhile, and the read is signed unaided.

    ``opinion_token`` is ``SecondOpinion.token`` of what the reader had on screen. ``label`` may be left out when
    confirming. Raises ``Conflict`` when somebody else signed meanwhile, images were added or the opinion changed,
    ``ValidationError`` with field errors, ``NotPossible`` when the decision does not fit.

    ``draft_version`` is that of the reader's draft on screen, which ends with the signature; ``signing_password`` is asked
    for where the site wants it.
    """
    signature_require(actor=actor, study=study, password=signing_password)
    texts = report_texts_require(note=note, findings=findings, impression=impression, comparison=comparison)
    with transaction.atomic():
        review = _sign(
            actor=actor,
            study=study,
            decision=decision,
            opinion_token=opinion_token,
            label=label,
            reason=reason,
            texts=texts,
        )
        report_draft_settle(author=actor, study=study, version=draft_version)
    return review


def _sign(
    *,
    actor: User,
    study: Study,
    decision: str,
    opinion_token: str,
    label: str,
    reason: str,
    texts: Mapping[str, str],
) -> Review:
    Study.objects.select_for_update().get(pk=study.pk)
    study = studies_with_opinion(Study.objects.filter(pk=study.pk), viewer=actor).get()
    previous = current_review(study)
    if study.is_read:
        raise _read_meanwhile(previous) if previous else _waits_for_second_reader(study)
    claim_require_free(actor=actor, study=study)
    reading = reading_of(actor, study)
    _first_read_require(reading, study, actor)
    opinion = second_opinion(study)
    if opinion.token != opinion_token:
        raise Conflict(OPINION_CHANGED)
    labels = labels_to_sign(study, reading)
    label = _label_require(decision=decision, label=label, opinion=opinion, labels=labels)
    if decision == Decision.OVERRIDE and reason not in OverrideReason.values:
        raise ValidationError({"reason": _("Choose why you override the second opinion.")})
    if decision != Decision.OVERRIDE and reason:
        raise ValidationError({"reason": _("A reason belongs to an override alone. Leave it empty.")})
    if (reason == OverrideReason.OTHER or label == "other_finding") and not texts["note"]:
        raise ValidationError({"note": _("Write in the note what you found.")})
    review = Review(
        study=study,
        follows=previous,
        first_read=reading.first_read,
        protocol=reading.protocol,
        reader=actor,
        decision=decision,
        label=label,
        label_display=labels[label],
        reason=reason,
        **texts,
        seen_predictions=seen_predictions(opinion),
    )
    # A read that was signed before there was an opinion has nothing in this list.
    review.full_clean(exclude=["seen_predictions"], validate_unique=False, validate_constraints=False)
    try:
        with transaction.atomic():
            review.save(force_insert=True)
    except IntegrityError:
        raise _read_meanwhile(Review.objects.filter(study=study).last()) from None
    study_apply(study=study, event=StudyEvent.SIGNED)
    audit_record(
        actor=actor,
        action=AuditAction.REVIEW_SIGNED,
        site=study.site,
        patient=study.patient,
        target=review,
        details={
            "study": str(study.pk),
            "protocol": review.protocol,
            "decision": review.decision,
            "label": review.label,
            "reason": review.reason,
            "opinion": opinion.label,
            "possible_labels": list(opinion.possible),
        },
    )
    claim_release(actor=actor, study=study)
    review_signed_check(actor=actor, review=review)
    return review


def labels_to_sign(study: Study, reading: Reading) -> dict[str, str]:
    """What a reader may sign: the labels of the networks that were asked, the reader's own, and the one that was locked."""
    locked = reading.first_read
    return {**({locked.label: locked.label_display} if locked else {}), **reader_labels(study)}


def _first_read_require(reading: Reading, study: Study, actor: User) -> None:
    if not reading.awaits_first_read:
        return
    if FirstRead.objects.filter(study=study, reader=actor).exists():
        raise Conflict(IMAGES_CAME)
    raise NotPossible(LOCK_FIRST)


def _label_require(*, decision: str, label: str, opinion: SecondOpinion, labels: dict[str, str]) -> str:
    """The label that is signed; raises when the decision does not fit the opinion on screen."""
    if decision not in Decision.values:
        raise ValidationError({"decision": _("Choose to confirm, to decide or to override.")})
    if decision == Decision.CONFIRM:
        return _confirmed(label, opinion)
    if label not in labels:
        raise ValidationError({"label": _("Choose a label from the list.")})
    if decision == Decision.UNAIDED and opinion.possible:
        if opinion.is_open:
            raise NotPossible(
                _("There is a second opinion for this study: choose one of its labels or override it.")
            )
        raise NotPossible(_("There is a second opinion for this study: confirm it or override it."))
    if decision == Decision.DECIDE:
        if not opinion.is_open:
            raise NotPossible(_("The second opinion does not name several labels. Reload the page."))
        if label not in opinion.possible:
            raise ValidationError(
                {
                    "label": _(
                        "This is none of the second opinion's labels. To sign it, override them with a reason."
                    )
                }
            )
    if decision == Decision.OVERRIDE:
        if not opinion.possible:
            raise NotPossible(_("There is no second opinion to override. Sign your read without one."))
        if label in opinion.possible:
            raise ValidationError(
                {
                    "label": _(
                        "This is the second opinion's own label. Sign it as your decision, or choose another label."
                    )
                    if opinion.is_open
                    else _(
                        "This is the second opinion's own label. Press “Confirm”, or choose another label."
                    )
                }
            )
    return label


def _confirmed(label: str, opinion: SecondOpinion) -> str:
    if opinion.is_open:
        raise NotPossible(
            _(
                "There is no single second opinion to confirm: it names several labels. Choose the label yourself."
            )
        )
    if not opinion.has_label:
        raise NotPossible(_("There is no second opinion to confirm. Choose a label of your own."))
    if label not in ("", opinion.label):
        raise ValidationError(
            {"label": _("To confirm means to sign the second opinion's label. Override it instead.")}
        )
    return opinion.label
