"""Transactions that need not outlive the power: what is lost with them is done again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from django.db import connection, transaction


@contextlib.contextmanager
def unsynced() -> Iterator[None]:
    """A transaction that SQLite does not wait for the disk to keep. It is atomic, ordered and seen by others like every other;
    only a machine that loses its power may forget it, with all of its workers. What is committed after it is synced with it.

    On PostgreSQL, which outlives its workers, it is a transaction as every other. Inside of one it is a part of that.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        with transaction.atomic():
            yield
        return
    _synchronous(
        "NORMAL"
    )  # https://www.sqlite.org/pragma.html#pragma_synchronous, of a database with a write-ahead log.
    try:
        with transaction.atomic():
            yield
    finally:
        _synchronous("FULL")


def _synchronous(mode: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA synchronous = {mode}")
