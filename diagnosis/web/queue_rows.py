"""The rows of the page of second reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from diagnosis.models import Discrepancy, SecondRead, SecondReadState, Study, User
from diagnosis.selectors.cases import hidden_reads
from diagnosis.selectors.studies import with_ai_shown
from diagnosis.services.case_words import cause_lines, discrepancy_words
from diagnosis.web.case_panels import SECOND_READ_CHIPS
from diagnosis.web.chips import PRIORITY, Chip


@dataclass(frozen=True, slots=True)
class QueueRow:
    """``causes`` is empty for who may still read it second: they would tell what reader or network said."""

    second_read: SecondRead
    chip: Chip
    priority_chip: Chip
    causes: list[str]
    is_mine: bool


def queue_rows(user: User, second_reads: list[SecondRead]) -> list[QueueRow]:
    """In the order in which they come."""
    keys = {second_read.study_id for second_read in second_reads}
    hidden = hidden_reads(user, keys)
    shown = dict(with_ai_shown(Study.objects.filter(pk__in=keys), viewer=user).values_list("pk", "ai_shown"))
    return [
        QueueRow(
            second_read=second_read,
            chip=SECOND_READ_CHIPS[SecondReadState(second_read.state)],
            priority_chip=PRIORITY[second_read.study.priority],
            causes=[]
            if second_read.study_id in hidden
            else cause_lines(second_read, ai_shown=shown[second_read.study_id]),
            is_mine=second_read.holder_id == user.pk,
        )
        for second_read in second_reads
    ]


@dataclass(frozen=True, slots=True)
class DiscrepancyRow:
    discrepancy: Discrepancy
    words: str


def discrepancy_rows(discrepancies: Iterable[Discrepancy]) -> list[DiscrepancyRow]:
    """Contradictions first, then by age."""
    rows = list(
        discrepancies.select_related("review__study__patient", "review__reader", "lab_result")  # type: ignore[attr-defined]
    )
    rows.sort(key=lambda row: (row.verdict != "contradicts", row.opened_at))
    return [DiscrepancyRow(row, discrepancy_words(row)) for row in rows]
