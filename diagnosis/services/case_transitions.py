"""How second reads, discrepancies and critical results move: (state, event) → state, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from django.utils.translation import gettext as _

from diagnosis.errors import Conflict
from diagnosis.models import OPEN_STATES, CriticalState, DiscrepancyState, SecondReadState


class SecondReadEvent(StrEnum):
    OFFER = "offer"
    HOLD = "hold"
    TAKE = "take"
    RETURN = "give back"
    AGREE = "agree"
    DISAGREE = "disagree"
    ADJUDICATE = "adjudicate"
    CANCEL = "withdraw"
    SUPERSEDE = "superseded by a new read"


class DiscrepancyEvent(StrEnum):
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


class CriticalEvent(StrEnum):
    ESCALATE = "escalate"
    ACKNOWLEDGE = "acknowledge"
    CANCEL = "cancel"


SECOND_READ_TRANSITIONS: Mapping[tuple[SecondReadState, SecondReadEvent], SecondReadState] = {
    (SecondReadState.HELD, SecondReadEvent.OFFER): SecondReadState.WAITING,
    # A more urgent one needs the place.
    (SecondReadState.WAITING, SecondReadEvent.HOLD): SecondReadState.HELD,
    (SecondReadState.WAITING, SecondReadEvent.TAKE): SecondReadState.TAKEN,
    (SecondReadState.TAKEN, SecondReadEvent.RETURN): SecondReadState.WAITING,
    (SecondReadState.TAKEN, SecondReadEvent.AGREE): SecondReadState.AGREED,
    (SecondReadState.TAKEN, SecondReadEvent.DISAGREE): SecondReadState.TO_ADJUDICATE,
    (SecondReadState.TO_ADJUDICATE, SecondReadEvent.TAKE): SecondReadState.ADJUDICATING,
    (SecondReadState.ADJUDICATING, SecondReadEvent.RETURN): SecondReadState.TO_ADJUDICATE,
    (SecondReadState.ADJUDICATING, SecondReadEvent.ADJUDICATE): SecondReadState.ADJUDICATED,
    # Two readers who differ cannot be made to agree by withdrawing the question: from there it is adjudicated.
    (SecondReadState.HELD, SecondReadEvent.CANCEL): SecondReadState.CANCELLED,
    (SecondReadState.WAITING, SecondReadEvent.CANCEL): SecondReadState.CANCELLED,
    **{(state, SecondReadEvent.SUPERSEDE): SecondReadState.CANCELLED for state in OPEN_STATES},
}

DISCREPANCY_TRANSITIONS: Mapping[tuple[DiscrepancyState, DiscrepancyEvent], DiscrepancyState] = {
    (DiscrepancyState.OPEN, DiscrepancyEvent.ACKNOWLEDGE): DiscrepancyState.ACKNOWLEDGED,
    (DiscrepancyState.OPEN, DiscrepancyEvent.RESOLVE): DiscrepancyState.RESOLVED,
    (DiscrepancyState.ACKNOWLEDGED, DiscrepancyEvent.RESOLVE): DiscrepancyState.RESOLVED,
}

CRITICAL_TRANSITIONS: Mapping[tuple[CriticalState, CriticalEvent], CriticalState] = {
    (CriticalState.OPEN, CriticalEvent.ESCALATE): CriticalState.OPEN,
    (CriticalState.OPEN, CriticalEvent.ACKNOWLEDGE): CriticalState.ACKNOWLEDGED,
    (CriticalState.OPEN, CriticalEvent.CANCEL): CriticalState.CANCELLED,
    # A wrong entry is wrong also after somebody took note of it.
    (CriticalState.ACKNOWLEDGED, CriticalEvent.CANCEL): CriticalState.CANCELLED,
}


def second_read_next(state: str, event: SecondReadEvent) -> SecondReadState:
    """The state after ``event``; raises ``Conflict`` when the table does not allow it."""
    try:
        return SECOND_READ_TRANSITIONS[SecondReadState(state), event]
    except KeyError:
        raise Conflict(
            _("This second read is now “%(state)s”: that is not possible any more. Reload the page.")
            % {"state": SecondReadState(state).label}
        ) from None


def discrepancy_next(state: str, event: DiscrepancyEvent) -> DiscrepancyState:
    """The state after ``event``; raises ``Conflict`` when the table does not allow it."""
    try:
        return DISCREPANCY_TRANSITIONS[DiscrepancyState(state), event]
    except KeyError:
        raise Conflict(
            _("This discrepancy is now “%(state)s”: that is not possible any more. Reload the page.")
            % {"state": DiscrepancyState(state).label}
        ) from None


def critical_next(state: str, event: CriticalEvent) -> CriticalState:
    """The state after ``event``; raises ``Conflict`` when the table does not allow it."""
    try:
        return CRITICAL_TRANSITIONS[CriticalState(state), event]
    except KeyError:
        raise Conflict(
            _("This critical result is now “%(state)s”: that is not possible any more. Reload the page.")
            % {"state": CriticalState(state).label}
        ) from None
