"""A reader's own read before the second opinion, and the moment at which that is shown."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from diagnosis import policies
from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import (
    AuditAction,
    AuditEvent,
    Confidence,
    FirstRead,
    FirstReadImage,
    OpinionReveal,
    Study,
    User,
)
from diagnosis.selectors.reading import Reading, image_set_of, own_first_read, reading_of, whole_opinion
from diagnosis.selectors.studies import (
    SecondOpinion,
    current_review,
    reader_labels,
    studies_with_opinion,
)
from diagnosis.services.audit import audit_record
from diagnosis.services.claims import claim_require_free
from diagnosis.services.report_drafts import report_draft_locked

IMAGES_CAME = gettext_lazy(
    "Images were added to this study while you were reading. Nothing was locked: look at them, then lock your read."
)
LOCK_FIRST = gettext_lazy(
    "This hospital reads first: lock your own label and how sure you are before anything else. Nothing was signed."
)
STILL_ON_ITS_WAY = gettext_lazy(
    "The second opinion is still on its way. Wait for it, or sign your read without it."
)
NOT_READ_FIRST = gettext_lazy(
    "Nothing is to be locked here: the second opinion on this study is not hidden from you. Sign your read."
)


@transaction.atomic
def first_read_lock(
    *, actor: User, study: Study, label: str, confidence: str, image_set: str
) -> tuple[FirstRead, OpinionReveal | None]:
    """Lock what ``actor`` says of these images without the network; it is never changed afterwards.

    ``image_set`` is ``Reading.image_set`` of what the reader had on screen. The second opinion is revealed in the same
    transaction where it is complete; else the reveal is ``None``, and ``opinion_reveal`` follows or the reader signs
    without it. Raises ``Conflict`` when images were added, somebody signed or the same read is locked already,
    ``ValidationError`` with field errors, ``NotPossible`` where nothing is hidden from the reader.
    """
    study, reading = _locked(actor, study)
    if reading.is_closed:
        raise _signed_already(
            study,
            gettext_noop("%(person)s signed this study first. Your read was not locked: reload the page."),
        )
    claim_require_free(actor=actor, study=study)
    if not reading.reads_first:
        raise NotPossible(NOT_READ_FIRST)
    if reading.first_read is not None:
        raise _locked_already(reading.first_read)
    first_read = first_read_keep(
        actor=actor, study=study, label=label, confidence=confidence, image_set=image_set
    )
    opinion = whole_opinion(study)
    return first_read, None if opinion.is_pending else _reveal(actor, study, first_read, opinion)


def first_read_keep(*, actor: User, study: Study, label: str, confidence: str, image_set: str) -> FirstRead:
    """Store a read of one's own, in the transaction of an act that has locked the study and knows that it fits.

    Raises ``Conflict`` when images were added or the same read is locked already, ``ValidationError`` with field errors.
    """
    if image_set != image_set_of(study.images.all()):
        raise Conflict(IMAGES_CAME)
    labels = reader_labels(study)
    errors = {}
    if label not in labels:
        errors["label"] = _("Choose a label from the list.")
    if confidence not in Confidence.values:
        errors["confidence"] = _("Choose how sure you are.")
    if errors:
        raise ValidationError(errors)
    first_read = FirstRead(
        study=study,
        reader=actor,
        label=label,
        label_display=labels[label],
        confidence=confidence,
        protocol=study.site.reading_protocol,
        image_set=image_set,
        started_at=_opened_at(actor, study),
    )
    first_read.full_clean(
        exclude=["image_set", "started_at"], validate_unique=False, validate_constraints=False
    )
    try:
        with transaction.atomic():
            first_read.save(force_insert=True)
    except IntegrityError:
        raise _locked_already(own_first_read(actor, study, image_set)) from None
    FirstReadImage.objects.bulk_create(
        FirstReadImage(first_read=first_read, image=image)
        for image in study.images.all()
        if image.is_analysed
    )
    report_draft_locked(author=actor, study=study)
    audit_record(
        actor=actor,
        action=AuditAction.FIRST_READ_LOCKED,
        site=study.site,
        patient=study.patient,
        target=first_read,
        details={"study": str(study.pk), "label": label, "confidence": confidence},
    )
    return first_read


@transaction.atomic
def opinion_reveal(*, actor: User, study: Study) -> OpinionReveal:
    """Show the second opinion to a reader who has locked a read of all images; again and again it is the same reveal.

    Raises ``NotPossible`` before the lock, ``Conflict`` while the opinion is on its way.
    """
    study, reading = _locked(actor, study)
    if reading.reveal is not None:
        return reading.reveal
    if reading.is_closed:
        raise _signed_already(
            study,
            gettext_noop(
                "%(person)s signed this study first. Nothing is hidden from you any more: reload the page."
            ),
        )
    if reading.first_read is None:
        raise NotPossible(LOCK_FIRST if reading.reads_first else NOT_READ_FIRST)
    opinion = whole_opinion(study)
    if opinion.is_pending:
        raise Conflict(STILL_ON_ITS_WAY)
    return _reveal(actor, study, reading.first_read, opinion)


def seen_predictions(opinion: SecondOpinion) -> list[dict[str, Any]]:
    """What a reader has on screen, as it is kept."""
    return [
        {
            "prediction": str(prediction.pk),
            "label": prediction.label,
            "possible_labels": prediction.possible_labels,
            "model_version": str(prediction.model_version),
        }
        for prediction in opinion.predictions
    ]


def _locked(actor: User, study: Study) -> tuple[Study, Reading]:
    """The study, locked, as ``actor`` may see it, and where ``actor`` stands with it."""
    policies.require(actor, policies.Act.SIGN_REVIEW, study.site)
    Study.objects.select_for_update().get(pk=study.pk)
    study = studies_with_opinion(Study.objects.filter(pk=study.pk), viewer=actor).get()
    return study, reading_of(actor, study)


def _reveal(actor: User, study: Study, first_read: FirstRead, opinion: SecondOpinion) -> OpinionReveal:
    reveal = OpinionReveal(first_read=first_read, seen_predictions=seen_predictions(opinion))
    reveal.save(force_insert=True)
    audit_record(
        actor=actor,
        action=AuditAction.OPINION_REVEALED,
        site=study.site,
        patient=study.patient,
        target=first_read,
        details={"study": str(study.pk), "predictions": [str(p.pk) for p in opinion.predictions]},
    )
    return reveal


def _signed_already(study: Study, sentence: str) -> Conflict:
    review = current_review(study)
    who = review.reader.display_name if review else _("Somebody")
    return Conflict(_(sentence) % {"person": who})


def _locked_already(first_read: FirstRead | None) -> Conflict:
    if first_read is None:
        return Conflict(_("You locked your read of these images already. Reload the page to go on."))
    return Conflict(
        _(
            "You locked your read of these images already (%(label)s, %(confidence)s). Reload the page to go on."
        )
        % {"label": _(first_read.label_display), "confidence": first_read.get_confidence_display().lower()}
    )


def _opened_at(actor: User, study: Study) -> dt.datetime | None:
    """When ``actor`` first opened the study with the images that it holds now, as the audit has it."""
    newest = max(image.created_at for image in study.images.all())
    return (
        AuditEvent.objects.filter(
            actor=actor,
            patient=study.patient,
            action=AuditAction.STUDY_VIEWED,
            object_id=str(study.pk),
            occurred_at__gte=newest,
        )
        .order_by("seq")
        .values_list("occurred_at", flat=True)
        .first()
    )
