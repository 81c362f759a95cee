"""Identifiers from forms: anything may arrive there."""

from __future__ import annotations

import uuid
from collections.abc import Iterable


def uuids(values: Iterable[str]) -> list[uuid.UUID]:
    """Those of ``values`` that are UUIDs; the rest name nothing."""
    found = []
    for value in values:
        try:
            found.append(uuid.UUID(value))
        except ValueError:
            continue
    return found


def row_number(value: str | None) -> int | None:
    """A primary key that is a number, or ``None``: a key that no row has."""
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 10 else None
