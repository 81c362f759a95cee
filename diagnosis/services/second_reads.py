"""Second reads: asked for, drawn, required by a rule; taken, signed blind, adjudicated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from diagnosis import policies
from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import (
    OPEN_STATES,
    UNREAD_STATES,
    AuditAction,
    AuditEvent,
    CaseRules,
    Confidence,
    FirstRead,
    Review,
    ReviewKind,
    SecondRead,
    SecondReadCauseKind,
    SecondReadOpinion,
    SecondReadRole,
    SecondReadState,
    SecondReadWaiver,
    Study,
    StudyStatus,
    User,
)
from diagnosis.selectors.cases import hides_read, pcr_that_counts
from diagnosis.selectors.reading import image_set_of, own_first_read
from diagnosis.selectors.studies import reader_labels
from diagnosis.services.audit import audit_record
from diagnosis.services.case_facts import facts_of, standing_read, whole_study
from diagnosis.services.case_rules import CAUSE_RANK, conflicts
from diagnosis.services.case_transitions import SecondReadEvent, second_read_next
from diagnosis.services.first_reads import first_read_keep
from diagnosis.services.report_drafts import report_draft_settle, report_texts_require
from diagnosis.services.second_read_queue import (
    HELD_FOR,
    cause_add,
    draw_of,
    hand_back,
    is_drawn,
    queue_arrange,
)
from diagnosis.services.signing import signature_require

_SHOW_THE_READ = (
    AuditAction.PATIENT_VIEWED,
    AuditAction.STUDY_VIEWED,
    AuditAction.REPORT_OPENED,
    AuditAction.REPORT_PRINTED,
)

SUPERSEDED = gettext_noop("The study was read anew.")
READ_ANEW = gettext_lazy(
    "This study is to be read anew, because images were added. Read it as the others in the worklist."
)


def review_signed_check(*, actor: User, review: Review) -> None:
    """After ``review`` was signed, in its transaction: withdraw what it makes void, draw, and compare with AI and PCR.

    An addendum is no read of its own and starts nothing. A correction is what a second reader, still to come, is compared
    with: by it nobody gets round a second read.
    """
    if review.kind == ReviewKind.ADDENDUM:
        return
    study = whole_study(review.study)
    rules = CaseRules.of(study.site_id)
    if review.kind == ReviewKind.CORRECTION:
        SecondRead.objects.filter(study=study, state__in=UNREAD_STATES).update(review=review)
    else:
        _supersede(actor, review)
        _draw(actor, study, review, rules)
    conflicts_check(actor=actor, study=study, review=review, rules=rules)
    queue_arrange(site=study.site)


def late_opinion_check(*, actor: User, study: Study) -> None:
    """After the network has finished with a study that was read without waiting for it."""
    if not Study.objects.select_for_update().filter(pk=study.pk, status=StudyStatus.READ).first():
        return
    study = whole_study(study)
    review = standing_read(study)
    if review is not None:
        conflicts_check(actor=actor, study=study, review=review, rules=CaseRules.of(study.site_id))
        queue_arrange(site=study.site)


def conflicts_check(*, actor: User, study: Study, review: Review, rules: CaseRules) -> list[SecondRead]:
    """Ask for a second reader by every rule that holds; ``study`` comes from ``whole_study``. The queue is not yet arranged."""
    facts = facts_of(study, review, pcr_that_counts(study, rules))
    return [
        _open(
            actor=actor,
            study=study,
            review=review,
            kind=rule.kind,
            rule=rule.code,
            facts=facts.as_json(),
        )
        for rule in conflicts(facts, rules)
    ]


def _draw(actor: User, study: Study, review: Review, rules: CaseRules) -> None:
    share = rules.second_read_share_percent
    if share == 0:
        return
    facts = {"share_percent": share, "draw": draw_of(study.pk), "drawn": is_drawn(study.pk, share)}
    audit_record(
        actor=actor,
        action=AuditAction.SECOND_READ_DRAWN,
        site=study.site,
        patient=study.patient,
        target=review,
        details={"study": str(study.pk), **facts},
    )
    if facts["drawn"]:
        _open(actor=actor, study=study, review=review, kind=SecondReadCauseKind.SAMPLED, facts=facts)


def _open(
    *,
    actor: User,
    study: Study,
    review: Review,
    kind: SecondReadCauseKind,
    rule: str = "",
    facts: dict[str, Any] | None = None,
    note: str = "",
) -> SecondRead:
    """The second read of ``review``, made where there is none, with this cause."""
    existing = (
        SecondRead.objects.select_for_update().exclude(state=SecondReadState.CANCELLED).filter(review=review)
    ).first()
    second_read = existing or SecondRead(study=study, review=review, cause_rank=CAUSE_RANK[kind])
    if existing is None:
        second_read.save(force_insert=True)
        _exclude_who_saw(second_read)
    # One that is given already keeps the new cause too: it says what the agreement was worth.
    cause_add(actor=actor, second_read=second_read, kind=kind, rule=rule, facts=facts, note=note)
    return second_read


def _exclude_who_saw(second_read: SecondRead) -> None:
    """Who has opened the patient, the study or the report since it was signed knows the read: no blind reader any more."""
    saw = AuditEvent.objects.filter(
        patient=second_read.study.patient_id,
        action__in=_SHOW_THE_READ,
        actor__isnull=False,
        occurred_at__gte=second_read.review.signed_at,
    ).exclude(actor=second_read.review.reader_id)
    SecondReadWaiver.objects.bulk_create(
        SecondReadWaiver(second_read=second_read, reader_id=reader)
        for reader in sorted(set(saw.values_list("actor_id", flat=True)))
    )


def _supersede(actor: User, review: Review) -> None:
    """A new read of the study makes open second reads of its earlier reads void."""
    earlier = SecondRead.objects.select_for_update().filter(study=review.study_id, state__in=OPEN_STATES)
    for second_read in earlier.exclude(review=review):
        _close_void(actor, second_read, SUPERSEDED)


def _close_void(actor: User, second_read: SecondRead, reason: str) -> None:
    second_read.state = second_read_next(second_read.state, SecondReadEvent.SUPERSEDE)
    second_read.holder = second_read.held_since = second_read.held_until = None
    second_read.cancelled_by, second_read.cancel_reason = actor, reason
    second_read.closed_at = timezone.now()
    second_read.save()
    _audit(actor, AuditAction.SECOND_READ_CANCELLED, second_read, reason=reason)


@transaction.atomic
def second_read_request(*, actor: User, study: Study, note: str = "") -> SecondRead:
    """Ask for a second reader of a signed study. Raises ``NotPossible`` where it has not been read, or was read second."""
    policies.require(actor, policies.Act.REQUEST_SECOND_READ, study.site)
    Study.objects.select_for_update().get(pk=study.pk)
    study = whole_study(study)
    review = standing_read(study)
    if review is None or not study.is_read:
        raise NotPossible(
            _("This study has not been read yet. A second read follows the first: sign that one.")
        )
    if len(note) > 2_000:
        raise ValidationError({"note": _("Write at most 2,000 characters.")})
    given = SecondRead.objects.filter(
        review=review, state__in=(SecondReadState.AGREED, SecondReadState.ADJUDICATED)
    ).first()
    if given is not None:
        raise NotPossible(
            _("This read has had its second reader already (%(state)s). Nothing was asked for.")
            % {"state": given.get_state_display().lower()}
        )
    second_read = _open(
        actor=actor, study=study, review=review, kind=SecondReadCauseKind.REQUESTED, note=note.strip()
    )
    queue_arrange(site=study.site)
    second_read.refresh_from_db()
    return second_read


@transaction.atomic
def second_read_take(*, actor: User, second_read: SecondRead) -> SecondRead:
    """Take a second read, or an adjudication, to read it now; for an hour nobody else can.

    Raises ``Conflict`` when somebody else has it, ``NotPossible`` for whoever read the study already or saw its read.
    """
    second_read = _locked(actor, second_read)
    _require_independent(actor, second_read)
    if second_read.holder_id == actor.pk:
        return second_read
    if not second_read.study.is_read:
        raise NotPossible(READ_ANEW)
    if second_read.is_held:
        raise NotPossible(
            _(
                "The queue of second reads is full, and this one waits for a free place. Take one that is offered."
            )
        )
    second_read.state = second_read_next(second_read.state, SecondReadEvent.TAKE)
    now = timezone.now()
    second_read.holder, second_read.held_since, second_read.held_until = actor, now, now + HELD_FOR
    second_read.save(update_fields=["state", "holder", "held_since", "held_until"])
    _audit(actor, AuditAction.SECOND_READ_TAKEN, second_read, state=second_read.state)
    return second_read


@transaction.atomic
def second_read_return(*, actor: User, second_read: SecondRead) -> SecondRead:
    """Give back, unread, what ``actor`` has taken."""
    second_read = _locked(actor, second_read)
    _require_holder(actor, second_read)
    hand_back(actor=actor, second_read=second_read, why="given back")
    queue_arrange(site=second_read.study.site)
    return second_read


def second_read_sign(
    *,
    actor: User,
    second_read: SecondRead,
    label: str,
    confidence: str,
    image_set: str,
    note: str = "",
    findings: str = "",
    impression: str = "",
    comparison: str = "",
    draft_version: int | None = None,
    signing_password: str = "",
) -> SecondReadOpinion:
    """Lock and sign the second read. It is final: it agrees with the first, or a third person decides.

    It is a ``FirstRead`` of its reader: locked before the first's read and the second opinion were shown. One that is
    locked already counts as it is, and ``label`` must be its label. Report, draft and password are as for ``review_sign``.
    Raises ``Conflict`` when it is not in the actor's hands or images came, ``ValidationError`` with field errors.
    """
    study = second_read.study
    policies.require(actor, policies.Act.READ_SECOND, study.site)
    signature_require(actor=actor, study=study, password=signing_password)
    texts = report_texts_require(note=note, findings=findings, impression=impression, comparison=comparison)
    with transaction.atomic():
        opinion = _sign(actor, second_read, label, confidence, image_set, texts)
        report_draft_settle(author=actor, study=study, version=draft_version)
    return opinion


def _sign(
    actor: User,
    second_read: SecondRead,
    label: str,
    confidence: str,
    image_set: str,
    texts: Mapping[str, str],
) -> SecondReadOpinion:
    second_read = _locked(actor, second_read)
    _require_holder(actor, second_read)
    if second_read.wants_adjudication:
        raise NotPossible(_("The second read is given. Adjudicate the two reads."))
    if label == "other_finding" and not texts["note"]:
        raise ValidationError({"note": _("Write in the note what you found.")})
    first_read = _own_read(actor, second_read.study, label, confidence, image_set)
    opinion = _opinion(
        actor,
        second_read,
        SecondReadRole.SECOND,
        first_read.label,
        first_read.label_display,
        first_read.confidence,
        first_read,
        texts,
    )
    agrees = first_read.label == second_read.review.label
    event = SecondReadEvent.AGREE if agrees else SecondReadEvent.DISAGREE
    _let_go(second_read, event, closes=agrees)
    _audit(
        actor,
        AuditAction.SECOND_READ_SIGNED,
        second_read,
        label=first_read.label,
        confidence=first_read.confidence,
        agrees=agrees,
    )
    queue_arrange(site=second_read.study.site)
    return opinion


def _own_read(actor: User, study: Study, label: str, confidence: str, image_set: str) -> FirstRead:
    """What ``actor`` locks now, or has locked of these images before somebody else signed."""
    study = whole_study(study)
    locked = own_first_read(actor, study, image_set_of(study.images.all()))
    if locked is None:
        return first_read_keep(
            actor=actor, study=study, label=label, confidence=confidence, image_set=image_set
        )
    if label != locked.label:
        raise ValidationError(
            {
                "label": _("You locked “%(label)s” for these images already. A locked read is never changed.")
                % {"label": locked.label_display}
            }
        )
    return locked


def second_read_adjudicate(
    *,
    actor: User,
    second_read: SecondRead,
    label: str,
    confidence: str,
    note: str = "",
    signing_password: str = "",
) -> SecondReadOpinion:
    """A third person, who sees both reads, decides. It is final; the signed report stays as it is, and both are shown.

    Raises ``Conflict`` when it is not in the actor's hands, ``ValidationError`` with field errors.
    """
    policies.require(actor, policies.Act.READ_SECOND, second_read.study.site)
    signature_require(actor=actor, study=second_read.study, password=signing_password)
    return _adjudicate(actor, second_read, label, confidence, report_texts_require(note=note))


@transaction.atomic
def _adjudicate(
    actor: User, second_read: SecondRead, label: str, confidence: str, texts: Mapping[str, str]
) -> SecondReadOpinion:
    second_read = _locked(actor, second_read)
    _require_holder(actor, second_read)
    if not second_read.is_being_adjudicated:
        raise NotPossible(_("There is nothing to adjudicate yet: give the second read."))
    labels = reader_labels(whole_study(second_read.study))
    errors = {}
    if label not in labels:
        errors["label"] = _("Choose a label from the list.")
    if confidence not in Confidence.values:
        errors["confidence"] = _("Choose how sure you are.")
    if not texts["note"]:
        errors["note"] = _("Write for both readers why you decide so.")
    if errors:
        raise ValidationError(errors)
    opinion = _opinion(
        actor, second_read, SecondReadRole.ADJUDICATOR, label, labels[label], confidence, None, texts
    )
    _let_go(second_read, SecondReadEvent.ADJUDICATE, closes=True)
    _audit(
        actor,
        AuditAction.SECOND_READ_ADJUDICATED,
        second_read,
        label=label,
        confidence=confidence,
        follows_first=label == second_read.review.label,
    )
    return opinion


@transaction.atomic
def second_read_cancel(*, actor: User, second_read: SecondRead, reason: str) -> SecondRead:
    """Withdraw a second read that people alone asked for, with the reason; it stays on record.

    Raises ``NotPossible`` for one that was drawn or that a rule requires: nobody picks what is checked.
    """
    policies.require(actor, policies.Act.REQUEST_SECOND_READ, second_read.study.site)
    second_read = _row(second_read)
    causes = list(second_read.causes.all())
    if any(cause.kind != SecondReadCauseKind.REQUESTED for cause in causes):
        raise NotPossible(
            _("This second read was drawn at random or is required by a rule, and cannot be withdrawn.")
        )
    if any(cause.asked_by_id != actor.pk for cause in causes):
        raise NotPossible(_("Somebody else asked for this second read too. Only who asked can withdraw it."))
    reason = reason.strip()
    if not reason or len(reason) > 500:
        raise ValidationError({"reason": _("Write why in 1 to 500 characters.")})
    second_read.state = second_read_next(second_read.state, SecondReadEvent.CANCEL)
    second_read.cancelled_by, second_read.cancel_reason = actor, reason
    second_read.closed_at = timezone.now()
    second_read.save()
    _audit(actor, AuditAction.SECOND_READ_CANCELLED, second_read, reason=reason)
    queue_arrange(site=second_read.study.site)
    return second_read


@transaction.atomic
def second_read_waive(*, actor: User, study: Study) -> SecondReadWaiver:
    """Show ``actor`` the signed read of a study that waits for a second reader: who has seen it gives no second read.

    Raises ``Conflict`` when it is not hidden from ``actor`` any more.
    """
    policies.require(actor, policies.Act.READ_SECOND, study.site)
    if not hides_read(actor, study):
        raise Conflict(_("The read of this study is not hidden from you. Reload the page."))
    second_read = _row(policies.second_reads_open_to(actor).filter(study=study).get())
    if second_read.holder_id == actor.pk:
        hand_back(actor=actor, second_read=second_read, why="saw the first read")
    waiver, _unused = SecondReadWaiver.objects.get_or_create(second_read=second_read, reader=actor)
    _audit(actor, AuditAction.SECOND_READ_WAIVED, second_read)
    queue_arrange(site=study.site)
    return waiver


def _row(second_read: SecondRead) -> SecondRead:
    """The row, locked, after its study: every act on a case locks the study first."""
    Study.objects.select_for_update().get(pk=second_read.study_id)
    return (
        SecondRead.objects.select_for_update(of=("self",))
        .select_related("study__site", "study__patient", "review", "holder")
        .get(pk=second_read.pk)
    )


def _locked(actor: User, second_read: SecondRead) -> SecondRead:
    policies.require(actor, policies.Act.READ_SECOND, second_read.study.site)
    return _row(second_read)


def _require_independent(actor: User, second_read: SecondRead) -> None:
    """Raises where ``actor`` has read the study before, or has seen the read that a second one is to check."""
    if not second_read.is_open:
        raise Conflict(
            _("This second read is done: %(state)s. Reload the page.")
            % {"state": second_read.get_state_display().lower()}
        )
    if not policies.second_reads_open_to(actor).filter(pk=second_read.pk).exists():
        who = (
            _("A third person, who gave neither read, decides.")
            if second_read.wants_adjudication
            else (_("The second reader is another person, who has not seen the first read."))
        )
        raise NotPossible(_("You have read this study or seen its read. %(who)s") % {"who": who})
    if second_read.holder_id is not None and second_read.holder_id != actor.pk and second_read.holder:
        raise Conflict(
            _("%(person)s is reading it now. Take another one.") % {"person": second_read.holder.display_name}
        )


def _require_holder(actor: User, second_read: SecondRead) -> None:
    if second_read.holder_id != actor.pk:
        raise Conflict(
            _(
                "This second read is not in your hands any more. Nothing was signed: reload the page and take it again."
            )
        )


def _opinion(
    actor: User,
    second_read: SecondRead,
    role: SecondReadRole,
    label: str,
    label_display: str,
    confidence: str,
    first_read: FirstRead | None,
    texts: Mapping[str, str],
) -> SecondReadOpinion:
    opinion = SecondReadOpinion(
        second_read=second_read,
        role=role,
        reader=actor,
        label=label,
        label_display=label_display,
        confidence=confidence,
        first_read=first_read,
        **texts,
    )
    opinion.clean_fields()
    opinion.save(force_insert=True)
    return opinion


def _let_go(second_read: SecondRead, event: SecondReadEvent, *, closes: bool) -> None:
    second_read.state = second_read_next(second_read.state, event)
    second_read.holder = second_read.held_since = second_read.held_until = None
    second_read.closed_at = timezone.now() if closes else None
    second_read.save(update_fields=["state", "holder", "held_since", "held_until", "closed_at"])


def _audit(actor: User, action: AuditAction, second_read: SecondRead, **details: Any) -> None:
    audit_record(
        actor=actor,
        action=action,
        site=second_read.study.site,
        patient=second_read.study.patient,
        target=second_read,
        details={"study": str(second_read.study_id), **details},
    )
