"""Looking for people in the records is an act of its own: who searched for what is on record."""

from __future__ import annotations

from django.db import transaction

from diagnosis.models import AuditAction, User
from diagnosis.services.audit import audit_record

LONGEST_QUERY = 200


def query_normalise(text: str) -> str:
    """What is searched for: without control characters and outer blanks, and not longer than ``LONGEST_QUERY``."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:LONGEST_QUERY]


@transaction.atomic
def search_record(*, actor: User, records: str, query: str) -> None:
    """Put on record that ``actor`` searched ``records`` (``studies`` or ``patients``); an empty query is no search."""
    if query:
        audit_record(
            actor=actor, action=AuditAction.RECORDS_SEARCHED, details={"records": records, "query": query}
        )
