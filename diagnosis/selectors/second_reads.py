"""The queue of second reads as one person may see it, and what became of them."""

from __future__ import annotations

import dataclasses

from django.db.models import F, Q, QuerySet

from diagnosis import policies
from diagnosis.models import (
    OPEN_STATES,
    CaseRules,
    SecondRead,
    SecondReadOpinion,
    SecondReadRole,
    SecondReadState,
    Site,
    Study,
    User,
)
from diagnosis.selectors.cases import PRIORITY_RANK, URGENCY
from diagnosis.selectors.joined import with_joined

MOST_SHOWN = 100
"""Of those in other hands; how many there are beyond them is said."""


@dataclasses.dataclass(frozen=True, slots=True)
class SecondReadQueue:
    """``to_read`` and ``to_adjudicate`` are what the person may take, or has; ``others`` the rest of the open ones.

    What may still be read blind is ordered by priority and age alone: its cause would tell what reader or network said.
    ``held`` counts those that wait for a free place, ``more`` those of the others beyond ``MOST_SHOWN``.
    """

    to_read: list[SecondRead]
    to_adjudicate: list[SecondRead]
    others: list[SecondRead]
    held: int
    more: int


def with_causes(second_reads: QuerySet[SecondRead]) -> QuerySet[SecondRead]:
    """``second_reads`` with all that a row or a panel shows, in a number of queries that does not grow."""
    return second_reads.select_related(
        "study__patient", "study__site", "review__reader", "holder", "cancelled_by"
    ).prefetch_related("causes__asked_by", "opinions__reader")


def second_read_queue(user: User) -> SecondReadQueue:
    """The open second reads at the sites of ``user``."""
    visible = SecondRead.objects.visible_to(user).filter(state__in=OPEN_STATES)
    readable = policies.sites_where(user, policies.Act.READ_SECOND)
    own = policies.second_reads_open_to(user).filter(study__site__in=readable, study__status="read")
    blind_order = (PRIORITY_RANK, F("requested_at"), F("pk"))
    can_take = Q(state=SecondReadState.WAITING) | Q(state=SecondReadState.TAKEN, holder=user)
    can_adjudicate = Q(state=SecondReadState.TO_ADJUDICATE) | Q(
        state=SecondReadState.ADJUDICATING, holder=user
    )
    others = visible.exclude(pk__in=own.values("pk")).order_by(*URGENCY)
    return SecondReadQueue(
        to_read=list(with_causes(own.filter(can_take).order_by(*blind_order))),
        to_adjudicate=list(with_causes(own.filter(can_adjudicate).order_by(*blind_order))),
        others=list(with_causes(others)[:MOST_SHOWN]),
        more=max(0, others.count() - MOST_SHOWN),
        held=visible.filter(state=SecondReadState.HELD).count(),
    )


def second_reads_to_take(user: User) -> QuerySet[SecondRead]:
    """The second reads and adjudications that ``user`` could take now, or has taken."""
    readable = policies.sites_where(user, policies.Act.READ_SECOND)
    wanted = (SecondReadState.WAITING, SecondReadState.TO_ADJUDICATE)
    return policies.second_reads_open_to(user).filter(
        Q(state__in=wanted) | Q(holder=user), study__site__in=readable, study__status="read"
    )


@dataclasses.dataclass(frozen=True, slots=True)
class DrawnShare:
    """How many per cent of the signed studies of ``site`` are drawn at random for a second reader; ``rules``: where it is set."""

    site: Site
    percent: int
    rules: CaseRules | None


def drawn_shares(user: User) -> list[DrawnShare]:
    """Of the hospitals whose rules ``user`` sets."""
    sites = policies.sites_where(user, policies.Act.SET_CASE_RULES).select_related("case_rules")
    rules = [(site, getattr(site, "case_rules", None)) for site in sites]
    return [DrawnShare(site, (row or CaseRules()).second_read_share_percent, row) for site, row in rules]


def second_read_of(study: Study) -> SecondRead | None:
    """The newest second read of ``study`` that was not withdrawn."""
    rows = SecondRead.objects.filter(study=study).exclude(state=SecondReadState.CANCELLED)
    rows = rows.select_related("study__patient", "study__site", "review__reader", "holder", "cancelled_by")
    # A study has one for each read that was signed, and each of these one or two reads and as many causes as there are rules.
    return next(
        iter(with_joined(rows.order_by("-requested_at", "-pk"), "causes__asked_by", "opinions__reader")), None
    )


def outcome_of(study: Study) -> SecondReadOpinion | None:
    """The last word of a finished second read: the adjudicator's, or the second reader's who agrees; ``None`` before.

    Ask ``hides_read`` first where it is shown to somebody who may still read second.
    """
    second_read = second_read_of(study)
    if second_read is None or second_read.is_open:
        return None
    by_role = {opinion.role: opinion for opinion in second_read.opinions.all()}
    return by_role.get(SecondReadRole.ADJUDICATOR) or by_role.get(SecondReadRole.SECOND)
