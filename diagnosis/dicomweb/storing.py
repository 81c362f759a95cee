"""What a sender is answered about its objects: the Store Instances Response Module (PS3.18 10.5.3.1 and annex I)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from rest_framework import status

from diagnosis.dimse.status import OUT_OF_RESOURCES, SUCCESS
from diagnosis.full_disk import STATUS as FULL_DISK
from diagnosis.intake.dicom_header import read_few
from diagnosis.limits import image_limits

#: PS3.18 Table I.2-2: “Coercion of Data Elements”.
COERCED = 0xB000
MOST_COMMENT = 1024
"""Characters of a sentence: the JSON model has no limit of 64, and half a reason helps nobody."""


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Which object it is, as far as it can be read; empty where it cannot."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""


def identity_of(path: Path) -> Identity:
    tags = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
    try:
        ds = read_few(path, tags, limits=image_limits())
        values = [str(ds.get(tag) or "") for tag in tags]
    except Exception:  # noqa: BLE001  A damaged file makes the parser raise anything.
        return Identity()
    return Identity(*(value if pydicom.uid.UID(value).is_valid else "" for value in values))


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """What became of one object. ``status`` is SUCCESS or a failure's code; ``sentence`` says why it failed or what to know.

    ``stored_as`` is the de-identified copy that is stored in its place, under UIDs of its own.
    """

    identity: Identity
    status: int
    sentence: str = ""
    stored_as: Identity | None = None
    had_no_room: bool = False

    @property
    def to_retrieve(self) -> Identity:
        return self.stored_as or self.identity


class StoreAnswer:
    """Collects what became of each object. ``base_url`` is the service's own address."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._stored: list[Stored] = []

    def add(self, stored: Stored) -> None:
        self._stored.append(stored)

    @property
    def is_empty(self) -> bool:
        return not self._stored

    def status_code(self, *, is_whole: bool) -> int:
        """200 all stored, 202 some, 409 none; 503 none, and not for a reason of theirs: worth trying again (PS3.18 10.5.3.2); 507
        the same because the disk is full.
        """
        failures = [stored.status for stored in self._stored if stored.status != SUCCESS]
        if not failures and is_whole:
            return status.HTTP_200_OK
        if len(failures) < len(self._stored):
            return status.HTTP_202_ACCEPTED
        if all(stored.had_no_room for stored in self._stored):
            return FULL_DISK
        if all(failure == OUT_OF_RESOURCES for failure in failures):
            return status.HTTP_503_SERVICE_UNAVAILABLE
        return status.HTTP_409_CONFLICT

    def json(self, *, problem: str = "") -> dict[str, Any]:
        """The module in the DICOM JSON model; ``problem`` is what is wrong with the request as a whole."""
        ds = Dataset()
        ds.ReferencedSOPSequence = Sequence(
            self._referenced(stored) for stored in self._stored if stored.status == SUCCESS
        )
        ds.FailedSOPSequence = Sequence(
            self._failed(stored) for stored in self._stored if stored.status != SUCCESS
        )
        studies = {stored.to_retrieve.study_instance_uid for stored in self._stored}
        if len(studies) == 1 and "" not in studies and ds.ReferencedSOPSequence:
            ds.RetrieveURL = f"{self._base_url}/studies/{studies.pop()}"
        for keyword in ("ReferencedSOPSequence", "FailedSOPSequence"):
            if not ds[keyword].value:
                del ds[keyword]
        result: dict[str, Any] = ds.to_json_dict()
        if problem:
            result |= _comment(problem)
        return result

    def _referenced(self, stored: Stored) -> Dataset:
        item = _reference(stored)
        identity = stored.to_retrieve
        if stored.stored_as:
            item.WarningReason = COERCED
        item.RetrieveURL = (
            f"{self._base_url}/studies/{identity.study_instance_uid}/series/{identity.series_instance_uid}"
            f"/instances/{identity.sop_instance_uid}"
        )
        return item

    @staticmethod
    def _failed(stored: Stored) -> Dataset:
        item = _reference(stored)
        item.FailureReason = stored.status
        return item


def _reference(stored: Stored) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = stored.identity.sop_class_uid
    item.ReferencedSOPInstanceUID = stored.identity.sop_instance_uid
    if stored.sentence:
        item.ErrorComment = stored.sentence[:MOST_COMMENT]
    return item


def _comment(sentence: str) -> dict[str, Any]:
    ds = Dataset()
    ds.ErrorComment = sentence[:MOST_COMMENT]
    result: dict[str, Any] = ds.to_json_dict()
    return result
