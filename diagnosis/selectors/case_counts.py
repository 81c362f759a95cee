"""What the top of every page counts."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, IntegerField, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from diagnosis.models import User
from diagnosis.selectors.critical_results import open_critical_results
from diagnosis.selectors.second_reads import second_reads_to_take


def case_counts_of(user: User) -> dict[str, int]:
    """How many second reads ``user`` could take, and how many critical results nobody has acknowledged; one query."""
    counts = User.objects.filter(pk=user.pk).values(
        second_reads=_count(second_reads_to_take(user)), critical=_count(open_critical_results(user))
    )
    row = counts.get()
    return {"second_reads": row["second_reads"], "critical": row["critical"]}


def _count(rows: QuerySet[Any]) -> Coalesce:
    counted = rows.order_by().annotate(all=Value(1)).values("all").annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
