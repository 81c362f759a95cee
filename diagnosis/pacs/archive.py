"""What is asked of an archive and what it answers, whatever the protocol."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Protocol

from pydicom.dataset import Dataset
from pydicom.uid import UID

from diagnosis.errors import PersonError
from diagnosis.intake.spool import Spool
from diagnosis.models import PacsPeer, QueryProtocol

MOST_STUDIES = 100
"""Of one search: who gets more asks more precisely."""
CONNECT_SECONDS = 10
ANSWER_SECONDS = 30

#: Takes the bytes of one object as a DICOM file.
Take = Callable[[bytes | Spool], None]


class ArchiveUnavailable(PersonError):  # noqa: N818  Named for what the person is told.
    """The archive did not answer, or not in a way that can be understood. Its text is for the person."""

    code = "archive_unavailable"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StudyQuery:
    """Empty fields match everything; ``patient_name`` may hold the wildcards of DICOM."""

    patient_id: str = ""
    patient_name: str = ""
    accession_number: str = ""
    date_from: dt.date | None = None
    date_to: dt.date | None = None
    study_instance_uid: str = ""

    @property
    def is_empty(self) -> bool:
        return self == StudyQuery()

    @property
    def study_date(self) -> str:
        """A date or a range (PS3.4 C.2.2.2.5); empty for any."""
        if self.date_from is None and self.date_to is None:
            return ""
        ends = [day.strftime("%Y%m%d") if day else "" for day in (self.date_from, self.date_to)]
        return ends[0] if ends[0] == ends[1] else "-".join(ends)

    @property
    def keys(self) -> dict[str, str]:
        """The matching keys that are set, by their keywords."""
        keys = {
            "PatientID": self.patient_id,
            "PatientName": self.patient_name,
            "AccessionNumber": self.accession_number,
            "StudyDate": self.study_date,
            "StudyInstanceUID": self.study_instance_uid,
        }
        return {keyword: value for keyword, value in keys.items() if value}


#: What is asked for on top of the matching keys.
RETURNED = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyDate",
    "StudyDescription",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedInstances",
    "StudyInstanceUID",
)


@dataclasses.dataclass(frozen=True, slots=True)
class FoundStudy:
    """One study of an archive, as it describes it; what it does not say is empty."""

    study_instance_uid: str
    patient_id: str
    patient_name: str
    patient_birth_date: dt.date | None
    patient_sex: str
    accession_number: str
    study_date: dt.date | None
    study_description: str
    modalities: str
    instance_count: str

    @classmethod
    def of(cls, ds: Dataset) -> FoundStudy | None:
        """``None`` where there is no usable Study Instance UID, without which it could not be fetched."""
        uid = UID(_text(ds, "StudyInstanceUID"))
        if not uid.is_valid:
            return None
        return cls(
            study_instance_uid=str(uid),
            patient_id=_text(ds, "PatientID"),
            patient_name=_text(ds, "PatientName"),
            patient_birth_date=_date(_text(ds, "PatientBirthDate")),
            patient_sex=_text(ds, "PatientSex"),
            accession_number=_text(ds, "AccessionNumber"),
            study_date=_date(_text(ds, "StudyDate")),
            study_description=_text(ds, "StudyDescription"),
            modalities=_text(ds, "ModalitiesInStudy"),
            instance_count=_text(ds, "NumberOfStudyRelatedInstances"),
        )


def _date(text: str) -> dt.date | None:
    try:
        return dt.datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007  A day has no zone.
    except ValueError:
        return None


def _text(ds: Dataset, keyword: str) -> str:
    try:
        value = ds.get(keyword)
    except Exception:  # noqa: BLE001  pydicom converts on access and raises whatever that does.
        return ""
    if value is None:
        return ""
    parts = value if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]
    text = ", ".join(str(part) for part in parts)
    return "".join(char for char in text if char.isprintable()).strip()[:200]


class Archive(Protocol):
    """One archive. Both methods raise ``ArchiveUnavailable`` with a sentence for the person."""

    def find(self, query: StudyQuery) -> list[FoundStudy]:
        """The matching studies, ``MOST_STUDIES`` at most."""
        ...

    def retrieve(self, study_instance_uid: str, take: Take) -> int:
        """Hand every object of the study to ``take``; returns how many the archive sent, to ``take`` or elsewhere."""
        ...


def archive_of(peer: PacsPeer) -> Archive:
    # Imported where it is needed: a web process that asks no archive loads neither protocol.
    if peer.query_protocol == QueryProtocol.DICOMWEB:
        from diagnosis.pacs.dicomweb_archive import DicomwebArchive

        return DicomwebArchive(peer)
    from diagnosis.pacs.dimse_archive import DimseArchive

    return DimseArchive(peer)
