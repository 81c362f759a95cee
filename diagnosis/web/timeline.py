"""The timeline of a patient, ready to be shown."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from diagnosis.models import Patient, Review, User
from diagnosis.selectors.studies import current_review, is_ai_hidden, second_opinion, timeline
from diagnosis.web import chips
from diagnosis.web.chips import Chip


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """One dated fact: a PCR result, a symptom note or a study; ``is_current`` marks the study on screen."""

    kind: str
    at: dt.datetime
    record: Any
    chips: tuple[Chip, ...] = ()
    reviews: Sequence[Review] = ()
    is_current: bool = False


def timeline_items(
    patient: Patient, *, viewer: User, current_study_id: uuid.UUID | None = None
) -> list[TimelineItem]:
    """Newest first, as ``viewer`` may see it: beside a case whose second opinion is hidden none on earlier ones is shown."""
    items = []
    entries = timeline(patient, viewer=viewer)
    reads_blind = any(
        entry.kind == "study" and entry.record.pk == current_study_id and is_ai_hidden(entry.record)
        for entry in entries
    )
    for entry in entries:
        match entry.kind:
            case "pcr":
                item = TimelineItem(
                    "pcr", entry.at, entry.record, chips=(chips.pcr_chip(entry.record.result),)
                )
            case "study":
                study = entry.record
                item = TimelineItem(
                    "study",
                    entry.at,
                    study,
                    chips=(
                        chips.HIDDEN_OPINION if reads_blind else chips.opinion_chip(second_opinion(study)),
                        chips.decision_chip(current_review(study), tells_opinion=not reads_blind),
                    ),
                    reviews=list(study.reviews.all()),
                    is_current=study.pk == current_study_id,
                )
            case _:
                item = TimelineItem(entry.kind, entry.at, entry.record)
        items.append(item)
    return items
