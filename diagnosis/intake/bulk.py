"""Folders and archives, file by file, into ``receive_unattended``."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from diagnosis.errors import PersonError
from diagnosis.intake.archive import DICOMDIR, ArchiveRefused, archived_files, is_archive
from diagnosis.intake.receive import shown_name
from diagnosis.intake.submit import file_failed
from diagnosis.intake.unattended import Described, receive_unattended
from diagnosis.models import Road, Sex, Site, User
from diagnosis.sentences import Sentence, Words
from diagnosis.services.patients import PatientIdentity
from diagnosis.services.studies import FileOutcome, Receipt, file_refuse
from ml.imaging import SNIFF_BYTES, FileKind, sniff

NOTHING_SAID = Described()
COLUMNS = (
    "path",
    "patient_id",
    "patient_name",
    "patient_birth_date",
    "patient_sex",
    "study",
    "study_date",
    "study_description",
    "accession_number",
)


class MapRefused(PersonError):  # noqa: N818  Named for what happened.
    """The map from files to patients cannot be used; nothing was stored."""

    code = "map_refused"


@dataclasses.dataclass(frozen=True, slots=True)
class BulkReceipt:
    """``path`` of the file on the disk, or of its archive with the name in it, and what became of it."""

    path: str
    receipt: Receipt


def files_in(paths: Sequence[Path]) -> list[Path]:
    """The files at ``paths`` and in the folders at ``paths``, sorted; links to folders are not followed.

    In a folder with a DICOMDIR, that of a CD, only DICOM files count. Raises ``FileNotFoundError``.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(path)
        found += _in_folder(path) if path.is_dir() else [path]
    return list(dict.fromkeys(found))


def _in_folder(folder: Path) -> Iterator[Path]:
    cds: list[Path] = []
    for here, folders, names in os.walk(folder):
        folders.sort()
        place = Path(here)
        if DICOMDIR in (name.upper() for name in names):
            cds.append(place)
        is_cd = any(place.is_relative_to(cd) for cd in cds)
        for name in sorted(names):
            if name.upper() == DICOMDIR:
                continue
            if not is_cd or _kind(place / name) is FileKind.DICOM:
                yield place / name


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(SNIFF_BYTES)
    except OSError:
        return b""  # Receiving it will say so.


def _kind(path: Path) -> FileKind | None:
    return sniff(_head(path))


def receive_path(
    *, actor: User, site: Site, path: Path, road: Road, described: Described = NOTHING_SAID
) -> Iterator[BulkReceipt]:
    """Store one file, or the files of one archive; one receipt for each. Safe to do twice."""
    if not is_archive(_head(path)):
        receipt = receive_unattended(
            actor=actor, site=site, content=path, name=path.name, road=road, described=described
        )
        yield BulkReceipt(str(path), receipt)
        return
    try:
        for file in archived_files(path):
            place = f"{path}/{shown_name(file.name)}"
            if file.content is None:
                yield BulkReceipt(
                    place,
                    _refused(actor=actor, site=site, name=file.name, code=file.code, reason=file.reason),
                )
            else:
                receipt = receive_unattended(
                    actor=actor,
                    site=site,
                    content=file.content,
                    name=file.name,
                    road=road,
                    described=described,
                )
                yield BulkReceipt(place, receipt)
    except ArchiveRefused as refusal:
        yield BulkReceipt(
            str(path),
            _refused(actor=actor, site=site, name=path.name, code=refusal.code, reason=Sentence.of(refusal)),
        )
    except OSError as error:
        # The disk has no room to unpack a file, or the archive cannot be read any more.
        yield BulkReceipt(
            str(path), file_failed(actor=actor, site=site, file_name=shown_name(path.name), error=error)
        )


def _refused(*, actor: User, site: Site, name: str, code: str, reason: Words) -> Receipt:
    file_refuse(actor=actor, site=site, code=code)
    return Receipt(shown_name(name), FileOutcome.REFUSED, reason, code=code)


def read_map(path: Path, *, site: Site) -> Mapping[Path, Described]:
    """What a CSV file says about files that do not say it themselves, by their resolved paths.

    ``path`` is relative to the CSV's folder; ``patient_id`` is the record number; dates are ISO 8601; files of one patient with
    the same ``study`` make one study, also when they come on different days. Raises ``MapRefused`` with the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            unknown = sorted(set(rows.fieldnames or []) - set(COLUMNS))
            missing = sorted({"path", "patient_id"} - set(rows.fieldnames or []))
            if unknown or missing:
                raise MapRefused(
                    f"The map's first line must name its columns. Unknown: {', '.join(unknown) or 'none'}; missing: "
                    f"{', '.join(missing) or 'none'}. Known are {', '.join(COLUMNS)}."
                )
            said = {}
            for row in rows:
                said[(path.parent / (row["path"] or "")).resolve()] = _described(row, rows.line_num, site)
            return said
    except (UnicodeDecodeError, csv.Error) as error:
        raise MapRefused("The map is no CSV file in UTF-8. Save it again as “CSV UTF-8”.") from error


def _described(row: Mapping[str, str | None], line: int, site: Site) -> Described:
    value = {column: (row.get(column) or "").strip() for column in COLUMNS}
    if not value["path"] or not value["patient_id"]:
        raise MapRefused(
            f"Line {line} of the map names no path or no patient_id. Correct the map and start again."
        )
    if value["patient_sex"] not in ("", *Sex.values):
        raise MapRefused(
            f"Line {line} of the map: patient_sex must be one of {', '.join(Sex.values)}, or empty."
        )
    try:
        birth_date = (
            dt.date.fromisoformat(value["patient_birth_date"]) if value["patient_birth_date"] else None
        )
        taken = dt.datetime.fromisoformat(value["study_date"]) if value["study_date"] else None
    except ValueError:
        raise MapRefused(
            f"Line {line} of the map holds a date that cannot be read. Write it like 2026-07-31."
        ) from None
    if taken is not None and taken.tzinfo is None:
        taken = taken.replace(tzinfo=site.tzinfo)
    return Described(
        identity=PatientIdentity(
            mrn=value["patient_id"],
            person_name=value["patient_name"],
            birth_date=birth_date,
            sex=value["patient_sex"],
        ),
        study_instance_uid=_study_uid(site, value) if value["study"] else "",
        performed_at=taken,
        study_description=value["study_description"],
        accession_number=value["accession_number"],
    )


#: Names the studies of maps; any UUID will do that never changes.
_STUDIES = uuid.UUID("6f0f1d54-9f6c-4a0e-8b0e-3c1c2a8b7d11")


def _study_uid(site: Site, value: Mapping[str, str]) -> str:
    """The same for the same study every time, so that a second run finds it (PS3.5 B.2: a UID derived from a UUID)."""
    return f"2.25.{uuid.uuid5(_STUDIES, repr((site.pk, value['patient_id'], value['study']))).int}"
