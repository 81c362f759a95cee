"""Tables whose rows are only ever added: the database itself refuses changes and deletions.

The triggers are put in place after every ``migrate``: on SQLite a migration that rebuilds a table drops its triggers.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import BaseDatabaseWrapper

APPEND_ONLY_TABLES = (
    "diagnosis_auditevent",
    "diagnosis_review",
    "diagnosis_firstread",
    "diagnosis_firstreadimage",
    "diagnosis_opinionreveal",
    "diagnosis_secondreadcause",
    "diagnosis_secondreadopinion",
    "diagnosis_secondreadwaiver",
    "diagnosis_discrepancymove",
    "diagnosis_criticalcommunication",
)

_REFUSAL = "rows of {table} are never changed or deleted"


def install(connection: BaseDatabaseWrapper) -> None:
    """Create the guards that are missing."""
    with connection.cursor() as cursor:
        existing = set(connection.introspection.table_names(cursor))
        for table in APPEND_ONLY_TABLES:
            if table in existing:
                for statement in _statements(connection.vendor, table):
                    cursor.execute(statement)


def uninstall(connection: BaseDatabaseWrapper) -> None:
    """Remove the guards: for tests that must empty the tables afterwards."""
    with connection.cursor() as cursor:
        for table in APPEND_ONLY_TABLES:
            for event in ("update", "delete"):
                suffix = f" ON {table}" if connection.vendor == "postgresql" else ""
                cursor.execute(f"DROP TRIGGER IF EXISTS {table}_no_{event}{suffix}")


def _statements(vendor: str, table: str) -> list[str]:
    refusal = _REFUSAL.format(table=table)
    if vendor == "sqlite":
        return [
            f"CREATE TRIGGER IF NOT EXISTS {table}_no_{event} BEFORE {event.upper()} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
            for event in ("update", "delete")
        ]
    if vendor == "postgresql":
        function = (
            "CREATE OR REPLACE FUNCTION diagnosis_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME "
            "USING ERRCODE = 'integrity_constraint_violation'; END $$"
        )
        return [
            function,
            *(
                f"CREATE OR REPLACE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION diagnosis_refuse_change()"
                for event in ("update", "delete")
            ),
        ]
    raise ImproperlyConfigured(f"No append-only guard is known for the database {vendor}.")
