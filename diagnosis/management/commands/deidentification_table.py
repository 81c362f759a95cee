"""Print what goes from a de-identified copy, as the documentation has it."""

from typing import Any

from django.core.management.base import BaseCommand

from diagnosis.intake.deidentification.tables import as_markdown


class Command(BaseCommand):
    help = "Print the table of what goes from a de-identified copy: redirect it to docs/deidentification-table.md."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(as_markdown(), ending="")
