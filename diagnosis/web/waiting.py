"""The files that wait for their uploader, as the confirmation page shows them: one group for each study."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from diagnosis.models import ImageKind, IncomingFile, Patient, Sex, Site, User
from diagnosis.sentences import Words
from diagnosis.services.patients import Difference, patient_differences


@dataclass(frozen=True, slots=True)
class FileGroup:
    """Files that are confirmed together: the DICOM files of one study, or all pictures sent to one hospital."""

    key: str
    site: Site
    files: tuple[IncomingFile, ...]

    @property
    def is_dicom(self) -> bool:
        return self.files[0].kind == ImageKind.DICOM

    @property
    def header(self) -> dict[str, Any]:
        """What the first file says; empty for pictures."""
        return self.files[0].header

    @property
    def burnt_in(self) -> list[tuple[Words, list[IncomingFile]]]:
        """What is to be said about text in the pictures, each sentence once with the files that it is about."""
        said: dict[Words, list[IncomingFile]] = {}
        for file in self.files:
            if file.is_shown and file.burnt_in_warning:
                said.setdefault(file.burnt_in_warning, []).append(file)
        return list(said.items())

    @property
    def says_when(self) -> bool:
        return bool(self.header.get("study_date"))

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What the file says about patient and study, for people; what it does not say is left out."""
        header = self.header
        name = header.get("patient_name") or ""
        facts = [
            (_("Name"), Patient(person_name=name).display_name if name else ""),
            (_("Record number"), header.get("patient_id") or ""),
            (_("Birth date"), shown_day(header.get("patient_birth_date"))),
            (_("Sex"), shown_sex(header.get("patient_sex"))),
            (_("Taken on"), _shown_time(header)),
            (_("Accession number"), header.get("accession_number") or ""),
            (_("Description"), header.get("study_description") or ""),
            (_("Hospital in the file"), header.get("institution_name") or ""),
        ]
        return [(label, value) for label, value in facts if value]


def shown_day(value: str | None) -> str:
    return date_format(dt.date.fromisoformat(value), "j M Y") if value else ""


def shown_sex(value: str | None) -> str:
    return str(Sex(value).label) if value else ""


def _shown_time(header: dict[str, Any]) -> str:
    """In the hospital's own time, as the device wrote it."""
    time = header.get("study_time")
    return shown_day(header.get("study_date")) + (f", {dt.time.fromisoformat(time):%H:%M}" if time else "")


def file_facts(incoming: IncomingFile) -> str:
    """One line about one file: view, size, kind."""
    header = incoming.header
    parts = [header.get("body_part_examined"), header.get("view_position"), header.get("laterality")]
    if incoming.rows:
        parts.append(
            _("%(columns)s by %(rows)s pixels") % {"columns": incoming.columns, "rows": incoming.rows}
        )
    parts.append(incoming.get_kind_display())
    return " · ".join(part for part in parts if part)


def file_groups(user: User) -> list[FileGroup]:
    """The files of ``user`` that wait, the longest waiting group first."""
    waiting = IncomingFile.objects.visible_to(user).filter(uploaded_by=user).select_related("site")
    by_key: dict[str, list[IncomingFile]] = {}
    for incoming in waiting:
        by_key.setdefault(_key(incoming), []).append(incoming)
    return [FileGroup(key, files[0].site, tuple(files)) for key, files in by_key.items()]


def _key(incoming: IncomingFile) -> str:
    study = incoming.header.get("study_instance_uid") or "pictures"
    return "g" + hashlib.sha256(f"{incoming.site_id}:{study}".encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class FileDifference:
    """What one file says of its patient beside what the record says."""

    file_name: str
    field: str
    in_file: str
    on_record: str


def file_differences(patient: Patient, files: Sequence[IncomingFile]) -> list[FileDifference]:
    """The same difference in several files of a study is listed once, under the first."""
    seen: dict[Difference, str] = {}
    for incoming in files:
        for difference in patient_differences(patient, incoming.header):
            seen.setdefault(difference, incoming.original_name)
    return [_shown(difference, name) for difference, name in seen.items()]


def differences_name(differences: Sequence[FileDifference]) -> str:
    """Names exactly what was compared: “the same person” counts for these differences and no others."""
    return hashlib.sha256(repr(differences).encode()).hexdigest()


def _shown(difference: Difference, file_name: str) -> FileDifference:
    sides = [difference.in_file, difference.on_record]
    match difference.field:
        case "Name":
            # Two names that differ in a part that is not displayed are shown as they are stored.
            displayed = [Patient(person_name=side).display_name for side in sides]
            sides = displayed if displayed[0] != displayed[1] else sides
        case "Birth date":
            sides = [shown_day(side) for side in sides]
        case "Sex":
            sides = [shown_sex(side) for side in sides]
    return FileDifference(file_name, _(difference.field), *sides)
