"""Who reads a study now, who is to read it, and how urgent it is."""

from __future__ import annotations

import datetime as dt

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from diagnosis import policies
from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import AuditAction, Claim, Priority, Study, TakeoverReason, User
from diagnosis.services.audit import audit_record


def _held_by(claim: Claim, consequence: str) -> Conflict:
    until = date_format(timezone.localtime(claim.expires_at, claim.study.site.tzinfo), "H:i")
    return Conflict(
        _("Claimed by %(person)s until %(time)s.") % {"person": claim.holder.display_name, "time": until}
        + f" {consequence}"
    )


def _locked(study: Study) -> Claim | None:
    return (
        Claim.objects.select_for_update(of=("self",))
        .select_related("holder", "study__site")
        .filter(study=study)
        .first()
    )


@transaction.atomic
def claim_take(*, actor: User, study: Study, reason: str = "") -> Claim:
    """Claim ``study``, so that nobody else signs it for as long as the site says; one's own claim is renewed and counts from now.

    A claim of somebody else that ran out is taken over with ``reason``, a ``TakeoverReason``. Raises ``Conflict`` while somebody
    else's claim runs, ``ValidationError`` where a reason is due.
    """
    policies.require(actor, policies.Act.SIGN_REVIEW, study.site)
    claim = _locked(study)
    if claim is None:
        return _claim_first(actor, study)
    if claim.holder_id == actor.pk:
        return _extend(claim, is_opened=True)
    if claim.is_running:
        raise _held_by(claim, _("You can read along, and sign when the claim has ended."))
    if reason not in TakeoverReason.values:
        raise ValidationError(
            {
                "reason": _("%(person)s had claimed this study. Say why you take it over.")
                % {"person": claim.holder.display_name}
            }
        )
    before = claim.holder
    now = timezone.now()
    claim.holder, claim.claimed_at, claim.expires_at = actor, now, now + _duration(study)
    claim.save(update_fields=["holder", "claimed_at", "expires_at"])
    _audit(actor, AuditAction.CLAIM_TAKEN_OVER, study, {"from": before.username, "reason": reason})
    return claim


def _claim_first(actor: User, study: Study) -> Claim:
    now = timezone.now()
    claim = Claim(study=study, holder=actor, claimed_at=now, expires_at=now + _duration(study))
    try:
        with transaction.atomic():
            claim.save(force_insert=True)
    except IntegrityError:
        # Somebody else was faster by less than the time between the look and the insert.
        first = _locked(study)
        if first is None or first.holder_id == actor.pk:
            raise Conflict(_("This study was claimed and released at this moment. Try again.")) from None
        raise _held_by(first, _("You can read along, and sign when the claim has ended.")) from None
    _audit(actor, AuditAction.STUDY_CLAIMED, study)
    return claim


def _duration(study: Study) -> dt.timedelta:
    return dt.timedelta(minutes=study.site.claim_minutes)


def _extend(claim: Claim, *, is_opened: bool = False) -> Claim:
    now = timezone.now()
    claim.expires_at = now + _duration(claim.study)
    if is_opened:
        claim.claimed_at = now
    claim.save(update_fields=["claimed_at", "expires_at"])
    return claim


@transaction.atomic
def claim_renew(*, actor: User, study: Study) -> Claim | None:
    """Hold one's own claim on for the whole time again; ``None`` where one has none (any more).

    A claim that ran out is renewed too, as long as nobody took the study over. Not on record: it changes nothing.
    """
    policies.require(actor, policies.Act.SIGN_REVIEW, study.site)
    claim = _locked(study)
    return _extend(claim) if claim is not None and claim.holder_id == actor.pk else None


@transaction.atomic
def claim_release(*, actor: User, study: Study, opened: str | None = None) -> bool:
    """Give one's own claim up; whether there was one.

    ``opened`` is ``Claim.opened`` of the page that is left: where the study was opened once more since, the claim stays.
    """
    claim = _locked(study)
    if claim is None or claim.holder_id != actor.pk or opened not in (None, claim.opened):
        return False
    claim.delete()
    _audit(actor, AuditAction.CLAIM_RELEASED, study)
    return True


@transaction.atomic
def claim_end(*, actor: User, study: Study, reason: str) -> None:
    """End somebody else's claim, running or not: for administrators, with a ``TakeoverReason``.

    Raises ``ValidationError`` without a reason, ``Conflict`` where there is no claim (any more).
    """
    policies.require(actor, policies.Act.END_CLAIM, study.site)
    if reason not in TakeoverReason.values:
        raise ValidationError({"reason": _("Say why you end the claim.")})
    claim = _locked(study)
    if claim is None:
        raise Conflict(_("Nobody claims this study any more. Nothing was changed."))
    holder = claim.holder
    claim.delete()
    _audit(actor, AuditAction.CLAIM_RELEASED, study, {"from": holder.username, "reason": reason})


def claim_require_free(*, actor: User, study: Study) -> None:
    """For the acts of a reader, in their transaction. Raises ``Conflict`` while somebody else's claim runs."""
    claim = _locked(study)
    if claim is not None and claim.is_running and claim.holder_id != actor.pk:
        raise _held_by(
            claim, _("Nothing of yours was stored: wait until the claim has ended, or ask an administrator.")
        )


@transaction.atomic
def reader_assign(*, actor: User, study: Study, reader: User | None) -> Study:
    """Say who is to read ``study``; ``None`` is nobody. An administrator assigns anybody who may sign there, readers themselves.

    Raises ``NotPossible`` when the reader may not sign at the hospital, or when a reader would take a study from another.
    """
    locked = (
        Study.objects.select_for_update(of=("self",)).select_related("assigned_to", "site").get(pk=study.pk)
    )
    before = locked.assigned_to
    if not policies.may(actor, policies.Act.ASSIGN_READER, locked.site):
        policies.require(actor, policies.Act.SIGN_REVIEW, locked.site)
        if before not in (None, actor):
            raise NotPossible(
                _("This study is assigned to %(person)s. Ask them, or an administrator, to change that.")
                % {"person": before.display_name}
            )
        if reader not in (None, actor):
            raise NotPossible(
                _("Readers assign studies to themselves. Ask an administrator to assign somebody else.")
            )
    if reader is not None and not policies.may(reader, policies.Act.SIGN_REVIEW, locked.site):
        raise NotPossible(
            _("%(person)s may not sign reads at %(site)s. Choose a radiologist.")
            % {"person": reader.display_name, "site": locked.site}
        )
    if before != reader:
        Study.objects.filter(pk=locked.pk).update(assigned_to=reader)
        names = {"from": before.username if before else "", "to": reader.username if reader else ""}
        _audit(actor, AuditAction.READER_ASSIGNED, locked, names)
    study.assigned_to = reader
    return study


@transaction.atomic
def priority_change(*, actor: User, study: Study, priority: str, seen: str) -> Study:
    """Change how urgent ``study`` is. ``seen`` is the priority that the person had on screen.

    Raises ``Conflict`` when somebody changed it meanwhile, ``ValidationError`` for a priority that does not exist. To undo it
    is to change it back, on record like any change.
    """
    policies.require(actor, policies.Act.CHANGE_PRIORITY, study.site)
    if priority not in Priority.values:
        raise ValidationError({"priority": _("Choose routine, urgent or stat.")})
    if not Study.objects.filter(pk=study.pk, priority=seen).update(priority=priority):
        raise Conflict(
            _("Somebody changed the priority meanwhile. Nothing was changed now: look at it again.")
        )
    if priority != seen:
        _audit(actor, AuditAction.PRIORITY_CHANGED, study, {"from": seen, "to": priority})
    study.priority = priority
    return study


def _audit(actor: User, action: AuditAction, study: Study, details: dict[str, str] | None = None) -> None:
    audit_record(
        actor=actor, action=action, site=study.site, patient=study.patient, target=study, details=details
    )
