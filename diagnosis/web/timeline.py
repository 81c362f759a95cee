"""The timeline of a patient, ready to be shown."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from diagnosis.models import Discrepancy, Patient, Review, User
from diagnosis.selectors.case_record import CaseRecord
from diagnosis.selectors.cases import day_of_illness, discrepancies_of
from diagnosis.selectors.studies import (
    TimelineEntry,
    current_review,
    is_ai_hidden,
    second_opinion,
    timeline,
)
from diagnosis.services.case_words import discrepancy_words
from diagnosis.web import chips
from diagnosis.web.chips import Chip
from diagnosis.web.timeline_chart import Chart, timeline_chart


@dataclass(frozen=True, slots=True)
class Remark:
    """What a PCR that came late means for the signed read of a study, in words; ``is_open``: nobody has settled it."""

    words: str
    is_open: bool
    study_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """One dated fact: a PCR result, a symptom note or a study; ``is_current`` marks the study on screen.

    ``day`` counts from the first symptoms to an X-ray. ``remarks`` say what a PCR that came late means for a signed read.
    """

    kind: str
    at: dt.datetime
    record: Any
    chips: tuple[Chip, ...] = ()
    reviews: Sequence[Review] = ()
    is_current: bool = False
    day: int | None = None
    remarks: Sequence[Remark] = ()


@dataclass(frozen=True, slots=True)
class Timeline:
    """The same facts as a list, newest first, and as a picture."""

    items: list[TimelineItem]
    chart: Chart | None


def timeline_of(patient: Patient, *, viewer: User, current_study_id: uuid.UUID | None = None) -> Timeline:
    """The list and the picture; the picture holds nothing of the network."""
    entries = timeline(patient, viewer=viewer)
    return _timeline(entries, discrepancies_of(viewer, patient), current_study_id)


def timeline_in(case: CaseRecord, late: Iterable[Discrepancy], *, viewer: User) -> Timeline:
    """That of the patient of ``case``, whose studies are known already; ``late`` is ``discrepancies_of`` the patient."""
    entries = timeline(case.study.patient, viewer=viewer, studies=case.studies)
    return _timeline(entries, late, case.study.pk)


def _timeline(
    entries: Sequence[TimelineEntry], late: Iterable[Discrepancy], current_study_id: uuid.UUID | None
) -> Timeline:
    return Timeline(
        items=_items(entries, late, current_study_id=current_study_id),
        chart=timeline_chart(entries, current_study_id=current_study_id),
    )


def _items(
    entries: Sequence[TimelineEntry], late: Iterable[Discrepancy], *, current_study_id: uuid.UUID | None
) -> list[TimelineItem]:
    """Newest first; beside a case whose second opinion is hidden none on earlier ones is shown."""
    items = []
    notes = [entry.record for entry in entries if entry.kind == "symptoms"]
    remarks: dict[uuid.UUID, list[Remark]] = defaultdict(list)
    for discrepancy in late:
        remarks[discrepancy.lab_result_id].append(
            Remark(discrepancy_words(discrepancy), not discrepancy.is_resolved, discrepancy.review.study_id)
        )
    reads_blind = any(
        entry.kind == "study" and entry.record.pk == current_study_id and is_ai_hidden(entry.record)
        for entry in entries
    )
    for entry in entries:
        match entry.kind:
            case "pcr":
                item = TimelineItem(
                    "pcr",
                    entry.at,
                    entry.record,
                    chips=(chips.pcr_chip(entry.record.result),),
                    remarks=remarks[entry.record.pk],
                )
            case "study":
                study = entry.record
                item = TimelineItem(
                    "study",
                    entry.at,
                    study,
                    chips=(
                        chips.HIDDEN_OPINION if reads_blind else chips.opinion_chip(second_opinion(study)),
                        chips.decision_chip(
                            current_review(study), is_read=study.is_read, tells_opinion=not reads_blind
                        ),
                    ),
                    reviews=list(study.reviews.all()),
                    is_current=study.pk == current_study_id,
                    day=day_of_illness(study, notes),
                )
            case _:
                item = TimelineItem(entry.kind, entry.at, entry.record)
        items.append(item)
    return items
