"""``manage.py sweep_orphans``: remove stored files that no record names, once they are older than the grace time."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from diagnosis.intake.sweep import orphans_sweep
from diagnosis.services.accounts import system_user


class Command(BaseCommand):
    help = "Remove stored files that no record names, once they are older than CXR_ORPHAN_GRACE_SECONDS."

    def handle(self, *args: Any, **options: Any) -> None:
        removed = orphans_sweep(actor=system_user())
        self.stdout.write(f"{removed} files removed.")
