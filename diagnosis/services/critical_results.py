"""Critical results: flagged, told, escalated until somebody acknowledges, and cancelled where the entry was wrong."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, override

from diagnosis import policies
from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import (
    AcknowledgedHow,
    AuditAction,
    CaseRules,
    CommunicationMethod,
    CriticalCommunication,
    CriticalEscalation,
    CriticalResult,
    CriticalState,
    Study,
    User,
)
from diagnosis.selectors.critical_results import critical_findings, people_to_tell
from diagnosis.sentences import Sentence
from diagnosis.services.audit import audit_record
from diagnosis.services.case_transitions import CriticalEvent, critical_next
from diagnosis.services.outbox import message_enqueue

logger = logging.getLogger(__name__)

NO_ADDRESS = Sentence(gettext_noop("This person has no mail address in the portal. Tell them by phone."))
NOT_SENT = Sentence(gettext_noop("The mail could not be sent. It is tried again; tell this person by phone."))
_SENDING = dt.timedelta(minutes=1)
"""Longer than a mail server may take (EMAIL_TIMEOUT), so that no two workers send the same mail."""


@transaction.atomic
def critical_flag(
    *, actor: User, study: Study, finding: str, found_at: dt.datetime | None = None, note: str = ""
) -> CriticalResult:
    """Flag a critical finding of ``study``. The first person is told at once.

    ``finding`` is a code of ``critical_findings``; ``found_at`` is now where it is left out. Raises ``ValidationError`` with
    field errors, ``Conflict`` where the same finding is open already.
    """
    policies.require(actor, policies.Act.FLAG_CRITICAL, study.site)
    findings = critical_findings(study.site)
    now = timezone.now()
    if finding not in findings:
        raise ValidationError({"finding": _("Choose the finding from the list.")})
    if found_at is not None and found_at > now:
        raise ValidationError({"found_at": _("This time lies in the future. Enter when it was found.")})
    critical_result = CriticalResult(
        study=study,
        finding_code=finding,
        finding_display=findings[finding],
        note=note.strip(),
        found_at=found_at or now,
        flagged_by=actor,
        escalate_at=now,
    )
    critical_result.full_clean(validate_unique=False, validate_constraints=False)
    try:
        with transaction.atomic():
            critical_result.save(force_insert=True)
    except IntegrityError:
        raise Conflict(
            _("“%(finding)s” is flagged for this study already and not acknowledged yet. Nothing was added.")
            % {"finding": _(findings[finding])}
        ) from None
    _audit(actor, AuditAction.CRITICAL_FLAGGED, critical_result, finding=finding)
    _escalate(actor, critical_result)
    return critical_result


@transaction.atomic
def critical_tell(
    *,
    actor: User,
    critical_result: CriticalResult,
    told_to: str,
    method: str,
    read_back: bool,
    told_at: dt.datetime | None = None,
    note: str = "",
) -> CriticalCommunication:
    """Put on record whom ``actor`` told, when and how. What was read back is acknowledged: the escalation stops."""
    policies.require(actor, policies.Act.ACKNOWLEDGE_CRITICAL, critical_result.study.site)
    critical_result = _locked(critical_result)
    if critical_result.is_cancelled:
        raise Conflict(_("This critical result was entered by mistake. Nothing was added."))
    errors: dict[str, str] = {}
    told_at = told_at or timezone.now()
    if told_at > timezone.now():
        errors["told_at"] = _("This time lies in the future. Enter when it really happened.")
    elif told_at < critical_result.found_at:
        errors["told_at"] = _("Nobody can be told before it was found. Check both times.")
    if not told_to.strip():
        errors["told_to"] = _("Enter who was told.")
    if method not in CommunicationMethod.values:
        errors["method"] = _("Choose how.")
    if errors:
        raise ValidationError(errors)
    communication = CriticalCommunication(
        critical_result=critical_result,
        told_by=actor,
        told_to=told_to.strip(),
        told_at=told_at,
        method=method,
        read_back=read_back,
        note=note.strip(),
    )
    communication.full_clean(validate_unique=False, validate_constraints=False)
    communication.save(force_insert=True)
    _audit(actor, AuditAction.CRITICAL_TOLD, critical_result, method=method, read_back=read_back)
    if read_back and critical_result.is_open:
        _acknowledge(actor, critical_result, AcknowledgedHow.READ_BACK)
    return communication


@transaction.atomic
def critical_acknowledge(*, actor: User, critical_result: CriticalResult) -> CriticalResult:
    """``actor`` has taken note and acts on it: the escalation stops.

    Raises ``NotPossible`` for who flagged it, ``Conflict`` when it is closed already.
    """
    policies.require(actor, policies.Act.ACKNOWLEDGE_CRITICAL, critical_result.study.site)
    critical_result = _locked(critical_result)
    if critical_result.flagged_by_id == actor.pk:
        raise NotPossible(
            _(
                "Who found it cannot acknowledge it: somebody who treats the patient must. Record whom you told, and that it was "
                "read back."
            )
        )
    _acknowledge(actor, critical_result, AcknowledgedHow.PORTAL)
    return critical_result


@transaction.atomic
def critical_cancel(*, actor: User, critical_result: CriticalResult, reason: str) -> CriticalResult:
    """Undo a wrong entry: it is kept, with who cancelled it and why, and tells nobody any more."""
    policies.require(actor, policies.Act.FLAG_CRITICAL, critical_result.study.site)
    critical_result = _locked(critical_result)
    reason = reason.strip()
    if not reason or len(reason) > 500:
        raise ValidationError({"reason": _("Write why in 1 to 500 characters.")})
    critical_result.state = critical_next(critical_result.state, CriticalEvent.CANCEL)
    critical_result.escalate_at = None
    critical_result.cancel_reason = reason
    critical_result.cancelled_at, critical_result.cancelled_by = timezone.now(), actor
    critical_result.save(
        update_fields=["state", "escalate_at", "cancel_reason", "cancelled_at", "cancelled_by"]
    )
    _audit(actor, AuditAction.CRITICAL_CANCELLED, critical_result)
    return critical_result


def critical_results_escalate(*, actor: User) -> int:
    """Tell the next person of every open result whose time has come; returns how many steps were taken.

    Safe to run twice and at once: each step of a result is one row.
    """
    due = CriticalResult.objects.filter(state=CriticalState.OPEN, escalate_at__lte=timezone.now())
    taken = 0
    for key in list(due.order_by("escalate_at").values_list("pk", flat=True)):
        with transaction.atomic():
            critical_result = _locked(CriticalResult.objects.select_related("study").get(pk=key))
            policies.require(actor, policies.Act.ESCALATE_CRITICAL, critical_result.study.site)
            if critical_result.escalate_at is None or critical_result.escalate_at > timezone.now():
                continue  # Acknowledged, or escalated by another worker meanwhile.
            taken += _escalate(actor, critical_result)
    return taken


def critical_mails_resend() -> int:
    """Send again what a mail server did not take; returns how many were tried."""
    waiting = CriticalEscalation.objects.filter(
        Q(claimed_until__isnull=True) | Q(claimed_until__lt=timezone.now()),
        sent_at__isnull=True,
        critical_result__state=CriticalState.OPEN,
    ).exclude(contact__email="")
    keys = list(waiting.values_list("pk", flat=True))
    for key in keys:
        critical_mail_send(escalation_id=key)
    return len(keys)


def critical_mail_send(*, escalation_id: int) -> bool:
    """Send the mail of one step: a link and a reference, nothing of the patient. ``False`` where there is nothing to send.

    Claimed for a minute before it goes out, so that it goes out once; a process that dies in between leaves it to be sent
    again.
    """
    now = timezone.now()
    claimed = CriticalEscalation.objects.filter(
        Q(claimed_until__isnull=True) | Q(claimed_until__lt=now), pk=escalation_id, sent_at__isnull=True
    ).update(claimed_until=now + _SENDING)
    if not claimed:
        return False
    escalation = CriticalEscalation.objects.select_related("critical_result__study__site", "contact").get(
        pk=escalation_id
    )
    if not escalation.critical_result.is_open or not escalation.contact.email:
        return False
    try:
        _mail(escalation).send()
    except OSError as error:  # Everything that smtplib raises.
        logger.warning(
            "A mail about a critical result could not be sent.",
            extra={"escalation": escalation_id, "error": type(error).__name__},
        )
        CriticalEscalation.objects.filter(pk=escalation_id).update(
            claimed_until=None, problem=NOT_SENT.kept()
        )
        return False
    CriticalEscalation.objects.filter(pk=escalation_id).update(
        sent_at=timezone.now(), claimed_until=None, problem=""
    )
    return True


def _mail(escalation: CriticalEscalation) -> EmailMessage:
    critical_result = escalation.critical_result
    address = f"{settings.CXR_PUBLIC_URL}{reverse('web:critical_result', args=[critical_result.pk])}"
    said = {"reference": critical_result.reference, "address": address}
    with override(escalation.contact.language or critical_result.study.site.language):
        return EmailMessage(
            subject=_("Critical result %(reference)s: please acknowledge") % said,
            body=_(
                "A critical result waits for you: %(reference)s.\n\n"
                "Open it, act on it and acknowledge it:\n%(address)s\n\n"
                "Until somebody does, the portal tells the next person of your hospital's list. This mail holds no data of the "
                "patient on purpose.\n"
            )
            % said,
            to=[escalation.contact.email],
        )


def _escalate(actor: User, critical_result: CriticalResult) -> int:
    """Take the next step of a locked, open result. Who has no address is passed over at once, once round the list."""
    people = people_to_tell(critical_result)
    minutes = CaseRules.of(critical_result.study.site_id).critical_minutes
    critical_result.escalate_at = timezone.now() + dt.timedelta(minutes=minutes)
    taken = 0
    for _unused in people:
        step = critical_result.next_step
        contact = people[step % len(people)]
        escalation = CriticalEscalation.objects.create(
            critical_result=critical_result,
            step=step,
            contact=contact,
            escalated_at=timezone.now(),
            problem="" if contact.email else NO_ADDRESS.kept(),
        )
        critical_result.next_step = step + 1
        taken += 1
        _audit(
            actor,
            AuditAction.CRITICAL_ESCALATED,
            critical_result,
            step=step,
            contact=contact.username,
            has_address=bool(contact.email),
        )
        if contact.email:
            message_enqueue(
                task="diagnosis.tasks.send_critical_mail", kwargs={"escalation_id": escalation.pk}
            )
            break
    critical_result.save(update_fields=["next_step", "escalate_at"])
    return taken


def _acknowledge(actor: User, critical_result: CriticalResult, how: AcknowledgedHow) -> None:
    critical_result.state = critical_next(critical_result.state, CriticalEvent.ACKNOWLEDGE)
    critical_result.escalate_at = None
    critical_result.acknowledged_how = how
    critical_result.acknowledged_at, critical_result.acknowledged_by = timezone.now(), actor
    critical_result.save(
        update_fields=["state", "escalate_at", "acknowledged_at", "acknowledged_by", "acknowledged_how"]
    )
    _audit(actor, AuditAction.CRITICAL_ACKNOWLEDGED, critical_result, how=how.value)


def _locked(critical_result: CriticalResult) -> CriticalResult:
    return (
        CriticalResult.objects.select_for_update(of=("self",))
        .select_related("study__site", "study__patient", "study__submitted_by", "flagged_by")
        .get(pk=critical_result.pk)
    )


def _audit(actor: User, action: AuditAction, critical_result: CriticalResult, **details: Any) -> None:
    audit_record(
        actor=actor,
        action=action,
        site=critical_result.study.site,
        patient=critical_result.study.patient,
        target=critical_result,
        details={"study": str(critical_result.study_id), **details},
    )


def critical_result_open(*, actor: User, critical_result: CriticalResult) -> CriticalResult:
    """Put on record that ``actor`` looked at it."""
    policies.require(actor, policies.Act.VIEW_RECORDS, critical_result.study.site)
    audit_record(
        actor=actor,
        action=AuditAction.STUDY_VIEWED,
        site=critical_result.study.site,
        patient=critical_result.study.patient,
        target=critical_result.study,
        details={"critical_result": str(critical_result.pk)},
    )
    return critical_result
