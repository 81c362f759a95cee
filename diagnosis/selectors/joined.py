"""The rows of small tables fetched with those that they belong to, in one query."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from django.db.models import FilteredRelation, Model, QuerySet


def with_joined(parents: QuerySet[Any], *paths: str) -> list[Any]:
    """``parents`` in their order, with the rows that each path leads to as ``prefetch_related`` would give them.

    A path is a relation from one to many, and what of its rows is to be fetched too: ``moves__actor``. Where
    ``prefetch_related`` asks once for each of them, here all of it is joined to the one query: for a page that must not ask
    often, and for few rows, because those of two relations multiply.
    """
    names = {path.partition("__")[0]: path for path in paths}
    joins = {relation: f"joined_{relation}" for relation in names}
    followed = [joins[relation] + path.removeprefix(relation) for relation, path in names.items()]
    rows = parents.annotate(**{join: FilteredRelation(relation) for relation, join in joins.items()})
    found: dict[Any, Model] = {}
    children: dict[tuple[Any, str], dict[Any, Model]] = {}
    for row in rows.select_related(*joins.values(), *followed):
        parent = found.setdefault(row.pk, row)
        for relation, join in joins.items():
            known = children.setdefault((parent.pk, relation), {})
            child = getattr(row, join, None)
            if child is not None:
                known.setdefault(child.pk, child)
    for (key, relation), known in children.items():
        _keep(found[key], relation, known.values())
    return list(found.values())


def _keep(parent: Any, relation: str, children: Iterable[Model]) -> None:
    """Have ``parent.relation.all()`` give ``children``, in their model's own order, without a query."""
    rows = getattr(parent, relation).all()
    order = [name for name in rows.model._meta.ordering if isinstance(name, str)]
    rows._result_cache = sorted(children, key=attrgetter(*order)) if order else list(children)
    rows._prefetch_done = True
    if not hasattr(parent, "_prefetched_objects_cache"):
        parent._prefetched_objects_cache = {}
    parent._prefetched_objects_cache[relation] = rows
