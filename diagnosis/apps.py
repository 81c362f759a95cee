"""The clinical application."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.translation import gettext_lazy


class DiagnosisConfig(AppConfig):
    name = "diagnosis"
    verbose_name = gettext_lazy("Chest X-rays")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from diagnosis import login_audit

        pre_migrate.connect(_before_migrate, sender=self)
        post_migrate.connect(_after_migrate, sender=self)
        login_audit.connect()


def _before_migrate(*, using: str, **_: Any) -> None:
    """Triggers that name a table are in the way of a migration that rebuilds it; and what a request may take is too short for
    one over millions of rows."""
    from django.db import connections

    from diagnosis.models import worklist_facts

    connection = connections[using]
    worklist_facts.uninstall(connection)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")


def _after_migrate(*, using: str, **_: Any) -> None:
    """What the tables need before the first row: the guards of the append-only ones, what keeps the worklist's
    columns true, and the head of the audit chain."""
    from django.db import connections

    from diagnosis.models import AuditHead, append_only, worklist_facts

    connection = connections[using]
    append_only.install(connection)
    worklist_facts.install(connection)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")
    if AuditHead._meta.db_table in connection.introspection.table_names():
        AuditHead.objects.using(using).get_or_create(pk=1, defaults={"seq": 0, "hash": "0" * 64})
