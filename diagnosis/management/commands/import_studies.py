"""``manage.py import_studies PATH...``: take in files, folders, CDs and ZIP archives from this machine's disks."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from diagnosis import policies
from diagnosis.errors import PersonError
from diagnosis.intake.bulk import NOTHING_SAID, BulkReceipt, files_in, read_map, receive_path
from diagnosis.intake.submit import TECHNICAL_ERROR
from diagnosis.models import Road, Site, User
from diagnosis.services.studies import FileOutcome


class Command(BaseCommand):
    help = (
        "Take in DICOM, PNG, JPEG and TIFF files, folders, CDs and ZIP archives. Safe to run twice: what is stored already is "
        "found again by its content."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument(
            "--as", dest="username", required=True, help="the account in whose name files come in"
        )
        parser.add_argument(
            "--site", help="the hospital's name; may be left out where the account uploads at one alone"
        )
        parser.add_argument(
            "--csv",
            type=Path,
            help="a map from files without patient data to their patients; see the operations guide",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        actor = User.objects.filter(username=options["username"], is_active=True).first()
        if actor is None:
            raise CommandError(f"There is no active account “{options['username']}”.")
        site = _site(actor, options["site"])
        try:
            policies.require(actor, policies.Act.UPLOAD, site)
            said = read_map(options["csv"], site=site) if options["csv"] else {}
            paths = [path for path in files_in(options["paths"]) if path != options["csv"]]
        except FileNotFoundError as error:
            raise CommandError(
                f"There is no {error.args[-1] if len(error.args) == 1 else error.filename}."
            ) from None
        except (PersonError, PermissionDenied) as error:
            raise CommandError(str(error)) from None
        counts: Counter[FileOutcome] = Counter()
        failed = 0
        # Without a terminal there is no bar, and the lines below are the log.
        with tqdm(paths, unit="file", disable=None) as progress:
            for path in progress:
                described = said.get(path.resolve(), NOTHING_SAID)
                for done in receive_path(
                    actor=actor, site=site, path=path, road=Road.COMMAND, described=described
                ):
                    counts[done.receipt.outcome] += 1
                    failed += done.receipt.code == TECHNICAL_ERROR
                    self._say(done, progress)
        self.stdout.write(", ".join(f"{counts[outcome]} {outcome.value}" for outcome in _SHOWN) + ".")
        if failed:
            raise CommandError(
                f"{failed} files could not be stored for a technical reason. Run the command again."
            )

    def _say(self, done: BulkReceipt, progress: tqdm) -> None:
        """One line for each file that a person has to do something about."""
        receipt = done.receipt
        if receipt.outcome in (FileOutcome.REFUSED, FileOutcome.HELD):
            line = f"{receipt.outcome.value} ({receipt.code}): {done.path}: {receipt.reason}"
            progress.write(line, file=self.stdout)


_SHOWN = (FileOutcome.STORED, FileOutcome.DUPLICATE, FileOutcome.HELD, FileOutcome.REFUSED)


def _site(actor: User, name: str | None) -> Site:
    sites = list(policies.sites_where(actor, policies.Act.UPLOAD))
    named = [site for site in sites if name is None or site.name == name]
    if len(named) != 1:
        known = ", ".join(site.name for site in sites) or "none"
        raise CommandError(f"Name the hospital with --site. “{actor.username}” uploads at: {known}.")
    return named[0]
