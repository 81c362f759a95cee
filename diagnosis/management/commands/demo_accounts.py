"""One account of each role at a demo site, with random passwords."""

import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from cxr_portal.private_files import write_private
from diagnosis.models import Role, Site, User
from diagnosis.services.accounts import membership_set, system_user

DEMO_SITE = "Demo Hospital"
PEOPLE = {
    "doctor": (Role.DOCTOR, "Dora", "Doctor"),
    "radiologist": (Role.RADIOLOGIST, "Rafael", "Reader"),
    "admin": (Role.ADMIN, "Ada", "Admin"),
}


class Command(BaseCommand):
    help = "Make the demo site and its accounts; the passwords go to a file that only its owner can read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--file", type=Path, default=Path(settings.CXR_VAR_DIR) / "demo-accounts.txt")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.CXR_MODE != "embedded":
            raise CommandError(
                "Demo accounts are for the embedded mode alone. Create real accounts in the admin."
            )
        path: Path = options["file"]
        if not path.exists():
            self._make(path)
        self.stdout.write(path.read_text())

    @transaction.atomic
    def _make(self, path: Path) -> None:
        site, _ = Site.objects.get_or_create(name=DEMO_SITE)
        lines = ["role\tusername\tpassword"]
        for username, (role, first_name, last_name) in PEOPLE.items():
            password = secrets.token_urlsafe(12)
            user, _ = User.objects.get_or_create(
                username=username, defaults={"first_name": first_name, "last_name": last_name}
            )
            user.is_superuser = role == Role.ADMIN
            user.set_password(password)
            user.save()
            membership_set(actor=system_user(), user=user, site=site, role=role)
            lines.append(f"{role}\t{username}\t{password}")
        write_private(path, "\n".join(lines) + "\n")
