"""Which second reads are offered: the most urgent, as many as the site's caps let through. The others wait, and say so."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import uuid
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from diagnosis.models import (
    AuditAction,
    CaseRules,
    SecondRead,
    SecondReadCause,
    SecondReadCauseKind,
    SecondReadOpinion,
    SecondReadRole,
    SecondReadState,
    Site,
    User,
)
from diagnosis.selectors.cases import URGENCY
from diagnosis.services.accounts import system_user
from diagnosis.services.audit import audit_record
from diagnosis.services.case_rules import CAUSE_RANK
from diagnosis.services.case_transitions import SecondReadEvent, second_read_next

HELD_FOR = dt.timedelta(hours=1)
"""A second read that is taken and not given goes back to the queue."""


def draw_of(study_id: uuid.UUID) -> float:
    """A number in [0, 1) that the study's id and the portal's secret key give: the same whenever it is drawn again.

    Who knows the study and not the key cannot tell it beforehand; who has the key (``AUDIT_HMAC_KEY``) can check it afterwards.
    """
    digest = hmac.new(
        settings.AUDIT_HMAC_KEY.encode(), b"second read of study " + study_id.bytes, hashlib.sha256
    ).digest()
    # 53 bits are what a float holds exactly; of more it could round to 1.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def is_drawn(study_id: uuid.UUID, share_percent: int) -> bool:
    return draw_of(study_id) * 100 < share_percent


@transaction.atomic
def cause_add(
    *,
    actor: User,
    second_read: SecondRead,
    kind: SecondReadCauseKind,
    rule: str = "",
    facts: dict[str, Any] | None = None,
    note: str = "",
) -> None:
    """Put one more cause on a second read that ``actor`` holds locked; the same cause once."""
    _, is_new = SecondReadCause.objects.get_or_create(
        second_read=second_read,
        kind=kind,
        rule=rule,
        defaults={"facts": facts or {}, "asked_by": actor, "note": note},
    )
    if not is_new:
        return
    second_read.cause_rank = min(second_read.cause_rank, CAUSE_RANK[kind])
    second_read.save(update_fields=["cause_rank"])
    audit_record(
        actor=actor,
        action=AuditAction.SECOND_READ_OPENED,
        site=second_read.study.site,
        patient=second_read.study.patient,
        target=second_read,
        details={"study": str(second_read.study_id), "kind": kind.value, "rule": rule},
    )


@transaction.atomic
def queue_arrange(*, site: Site) -> int:
    """Offer the most urgent second reads of ``site`` that its caps let through and hold the others back.

    Returns how many changed. A more urgent one takes the place of a less urgent one that nobody has taken. Running it again
    changes nothing.
    """
    Site.objects.select_for_update().get(pk=site.pk)
    reads = SecondRead.objects.filter(study__site=site)
    places = _places(site, reads)
    changed = 0
    queue = reads.filter(state__in=(SecondReadState.HELD, SecondReadState.WAITING)).order_by(*URGENCY)
    for position, second_read in enumerate(queue.select_related("study__patient")):
        offered = position < places
        if offered == (second_read.state == SecondReadState.WAITING):
            continue
        event = SecondReadEvent.OFFER if offered else SecondReadEvent.HOLD
        state = second_read_next(second_read.state, event)
        moved = SecondRead.objects.filter(pk=second_read.pk, state=second_read.state).update(state=state)
        if moved:
            changed += 1
            audit_record(
                actor=system_user(),
                action=AuditAction.SECOND_READ_ARRANGED,
                site=site,
                patient=second_read.study.patient,
                target=second_read,
                details={"study": str(second_read.study_id), "state": state.value},
            )
    return changed


def _places(site: Site, reads: Any) -> int:
    """How many may be offered now, besides those that somebody is reading."""
    rules = CaseRules.of(site.pk)
    taken = reads.filter(state=SecondReadState.TAKEN).count()
    midnight = timezone.localtime(timezone.now(), site.tzinfo).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    given = SecondReadOpinion.objects.filter(
        second_read__study__site=site, role=SecondReadRole.SECOND, signed_at__gte=midnight
    ).count()
    return max(0, min(rules.second_read_most_open - taken, rules.second_read_most_a_day - given - taken))


def second_reads_tidy(*, actor: User) -> int:
    """Give back what was taken and not read in time, and fill the places that a new day or a new rule made.

    Returns how many second reads changed. Safe to run twice and at once.
    """
    changed = 0
    lapsed = SecondRead.objects.filter(
        state__in=(SecondReadState.TAKEN, SecondReadState.ADJUDICATING), held_until__lt=timezone.now()
    )
    for key in list(lapsed.values_list("pk", flat=True)):
        changed += _lapse(actor, key)
    waiting = SecondRead.objects.filter(state__in=(SecondReadState.HELD, SecondReadState.WAITING))
    for site in Site.objects.filter(pk__in=waiting.values("study__site")):
        changed += queue_arrange(site=site)
    return changed


@transaction.atomic
def _lapse(actor: User, key: uuid.UUID) -> int:
    second_read = (
        SecondRead.objects.select_for_update(of=("self",))
        .select_related("study__site", "study__patient", "holder")
        .get(pk=key)
    )
    if second_read.held_until is None or second_read.held_until >= timezone.now():
        return 0  # Given or taken anew meanwhile.
    hand_back(actor=actor, second_read=second_read, why="time ran out")
    return 1


def hand_back(*, actor: User, second_read: SecondRead, why: str) -> None:
    """Put a locked second read back where its holder took it from."""
    holder = second_read.holder
    second_read.state = second_read_next(second_read.state, SecondReadEvent.RETURN)
    second_read.holder = second_read.held_since = second_read.held_until = None
    second_read.save(update_fields=["state", "holder", "held_since", "held_until"])
    audit_record(
        actor=actor,
        action=AuditAction.SECOND_READ_RETURNED,
        site=second_read.study.site,
        patient=second_read.study.patient,
        target=second_read,
        details={
            "study": str(second_read.study_id),
            "holder": holder.username if holder else "",
            "why": why,
        },
    )
