"""Acts on patients."""

from __future__ import annotations

import dataclasses
import datetime as dt
import unicodedata
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from diagnosis import policies
from diagnosis.models import AuditAction, Patient, Site, User
from diagnosis.services.audit import audit_record


def patient_create(
    *,
    actor: User,
    site: Site,
    mrn: str,
    person_name: str = "",
    birth_date: dt.date | None = None,
    sex: str = "",
) -> Patient:
    """Add a patient. Raises ``ValidationError`` with field errors, also when the record number is taken."""
    policies.require(actor, policies.Act.ADD_PATIENT, site)
    patient = Patient(site=site, mrn=mrn.strip(), person_name=person_name.strip(), birth_date=birth_date, sex=sex)
    patient.full_clean(validate_constraints=False)
    try:
        with transaction.atomic():
            patient.save(force_insert=True)
            audit_record(actor=actor, action=AuditAction.PATIENT_CREATED, site=site, patient=patient, target=patient)
    except IntegrityError:
        raise ValidationError(
            {"mrn": "A patient with this record number exists already. Choose that patient, or correct the number."}
        ) from None
    return patient


def patient_open(*, actor: User, patient: Patient) -> Patient:
    """Put on record that ``actor`` looked at this patient."""
    policies.require(actor, policies.Act.VIEW_RECORDS, patient.site)
    audit_record(actor=actor, action=AuditAction.PATIENT_VIEWED, site=patient.site, patient=patient, target=patient)
    return patient


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One field in which a file and the patient's record do not say the same."""

    field: str
    in_file: str
    on_record: str


def patient_differences(patient: Patient, header: Mapping[str, Any]) -> list[Difference]:
    """What a DICOM header says about its patient that the record contradicts; what the file does not say is no difference."""
    pairs = [
        ("Record number", str(header.get("patient_id") or ""), patient.mrn),
        ("Name", str(header.get("patient_name") or ""), patient.person_name),
        ("Birth date", str(header.get("patient_birth_date") or ""), str(patient.birth_date or "")),
        ("Sex", str(header.get("patient_sex") or ""), patient.sex),
    ]
    return [
        Difference(field, in_file, on_record)
        for field, in_file, on_record in pairs
        if in_file and on_record and _comparable(in_file) != _comparable(on_record)
    ]


def _comparable(text: str) -> str:
    """Case, width and trailing empty name components do not make another person."""
    return unicodedata.normalize("NFKC", text).casefold().replace("^", " ").strip()
