"""The clinical application."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class DiagnosisConfig(AppConfig):
    name = "diagnosis"
    verbose_name = "Chest X-rays"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from diagnosis import login_audit

        post_migrate.connect(_after_migrate, sender=self)
        login_audit.connect()


def _after_migrate(*, using: str, **_: Any) -> None:
    """What the tables need before the first row: the guards of the append-only ones and the head of the audit chain."""
    from django.db import connections

    from diagnosis.models import AuditHead, append_only

    connection = connections[using]
    append_only.install(connection)
    if AuditHead._meta.db_table in connection.introspection.table_names():
        AuditHead.objects.using(using).get_or_create(pk=1, defaults={"seq": 0, "hash": "0" * 64})
