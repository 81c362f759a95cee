"""Lists of studies for programs: pages that begin after a place in their order, whatever comes or goes meanwhile.

No page is counted and none is reached by skipping others: page 4,000 of a million studies costs what page 1 costs.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Sequence

from django.db.models import F, QuerySet, Value
from django.db.models.expressions import Combinable
from django.db.models.fields import DateTimeField, UUIDField
from django.db.models.functions import Coalesce

from diagnosis.models import Study
from diagnosis.models.lookups import RowComparison

ORDERS: dict[str, Combinable] = {
    "created_at": F("created_at"),
    # Where nobody says when it was taken, the upload counts, as on every page.
    "performed_at": Coalesce("performed_at", "created_at"),
}
"""What studies are ordered by, and then by their keys."""


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Between which studies a page begins: beside the one with this time and key."""

    at: dt.datetime
    key: uuid.UUID

    @classmethod
    def of(cls, text: str) -> Place:
        """Raises ``ValueError``."""
        at, _, key = text.partition("~")
        place = cls(dt.datetime.fromisoformat(at), uuid.UUID(key))
        if place.at.tzinfo is None:
            raise ValueError("a time without its zone is no time")
        return place

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{self.key}"


@dataclasses.dataclass(frozen=True, slots=True)
class StudyPage:
    """The keys of one page, in order; ``after`` and ``before`` are where its neighbours begin, ``None`` where there is none."""

    keys: list[uuid.UUID]
    after: Place | None
    before: Place | None


def study_page(
    by_site: Sequence[QuerySet[Study]],
    *,
    ordering: str,
    size: int,
    after: Place | None = None,
    before: Place | None = None,
) -> StudyPage:
    """The page after ``after``, the one before ``before``, or the first. ``ordering``: one of ``ORDERS``, ``-`` is newest first.

    Each hospital is asked by itself: an order runs through an index only within one.
    """
    order = ORDERS[ordering.removeprefix("-")]
    backwards = before is not None and after is None
    ascending = ordering.startswith("-") == backwards
    found: list[tuple[dt.datetime, uuid.UUID]] = []
    for studies in by_site:
        found += _rows(studies, order, ascending, after or before, size + 1)
    found = sorted(found, reverse=not ascending)[: size + 1]
    has_more = len(found) > size
    found = found[:size]
    if backwards:
        found.reverse()
    has_next, has_previous = (True, has_more) if backwards else (has_more, after is not None)
    places = [Place(*row) for row in found]
    return StudyPage(
        keys=[place.key for place in places],
        after=places[-1] if places and has_next else None,
        before=places[0] if places and has_previous else None,
    )


def _rows(
    studies: QuerySet[Study], order: Combinable, ascending: bool, place: Place | None, most: int
) -> list[tuple[dt.datetime, uuid.UUID]]:
    studies = studies.annotate(ordered_by=order)
    if place is not None:
        values = [Value(place.at, DateTimeField()), Value(place.key, UUIDField())]
        studies = studies.filter(RowComparison([F("ordered_by"), F("id")], ">" if ascending else "<", values))
    columns = ("ordered_by", "id")
    in_order = studies.order_by(*(column if ascending else f"-{column}" for column in columns))
    return list(in_order.values_list(*columns)[:most])
