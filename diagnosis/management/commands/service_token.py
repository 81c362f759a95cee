"""Give a service account a token: it has no password to ask for one with."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from diagnosis.models import User
from diagnosis.services.tokens import token_issue


class Command(BaseCommand):
    help = (
        "Print a new token for an account that a program uses, such as an archive that stores over DICOMweb. It ends after "
        "CXR_TOKEN_HOURS, or when the account is closed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        user = User.objects.filter(username=username, is_active=True, is_system=False).first()
        if user is None:
            raise CommandError(f"There is no open account “{username}”.")
        if user.has_usable_password():
            raise CommandError(
                f"“{username}” has a password, so its owner asks for a token with it: POST /api/v1/auth/token/."
            )
        issued = token_issue(user=user)
        self.stdout.write(issued.secret)
        self.stderr.write(
            f"It ends at {issued.token.expiry:%Y-%m-%d %H:%M} UTC. Send it as “Authorization: Token ...”."
        )
