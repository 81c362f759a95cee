"""Acts on patients."""

from __future__ import annotations

import dataclasses
import datetime as dt
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from diagnosis import policies
from diagnosis.errors import PatientDiffers
from diagnosis.models import AuditAction, Patient, Site, User
from diagnosis.sentences import Sentence
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
    identity = PatientIdentity(mrn=mrn, person_name=person_name, birth_date=birth_date, sex=sex)
    return patient_add(actor=actor, site=site, identity=identity)


def patient_add(*, actor: User, site: Site, identity: PatientIdentity) -> Patient:
    """``patient_create`` for acts that check a permission of their own."""
    patient = _new_patient(site=site, **dataclasses.asdict(identity))
    try:
        with transaction.atomic():
            patient.save(force_insert=True)
            audit_record(
                actor=actor, action=AuditAction.PATIENT_CREATED, site=site, patient=patient, target=patient
            )
    except IntegrityError:
        raise ValidationError(
            {
                "mrn": _(
                    "A patient with this record number exists already. Choose that patient, or correct the number."
                )
            }
        ) from None
    return patient


def _new_patient(*, site: Site, mrn: str, person_name: str, birth_date: dt.date | None, sex: str) -> Patient:
    """An unsaved patient whose fields are right; whether the record number is free shows when it is saved."""
    patient = Patient(
        site=site, mrn=mrn.strip(), person_name=person_name.strip(), birth_date=birth_date, sex=sex
    )
    patient.full_clean(exclude=["site"], validate_unique=False, validate_constraints=False)
    return patient


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PatientIdentity:
    """Who somebody says a patient is."""

    mrn: str
    person_name: str = ""
    birth_date: dt.date | None = None
    sex: str = ""

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> PatientIdentity | None:
        """What a DICOM header says; ``None`` where it holds no record number, without which nobody is identified."""
        if not (header.get("patient_id") or "").strip():
            return None
        birth_date = header.get("patient_birth_date")
        return cls(
            mrn=header["patient_id"].strip(),
            person_name=header.get("patient_name") or "",
            birth_date=dt.date.fromisoformat(birth_date) if birth_date else None,
            sex=header.get("patient_sex") or "",
        )

    def as_header(self) -> dict[str, str]:
        return {
            "patient_id": self.mrn,
            "patient_name": self.person_name,
            "patient_birth_date": str(self.birth_date or ""),
            "patient_sex": self.sex,
        }


def patient_identify(
    *, actor: User, site: Site, identity: PatientIdentity, differences_accepted: bool = False
) -> Patient | None:
    """The patient with this record number at ``site``; ``None`` where there is none yet and one may be created.

    Raises ``PatientDiffers`` when the record says otherwise and ``differences_accepted`` is not set; ``ValidationError``
    with field errors when no patient can be created from ``identity``.
    """
    policies.require(actor, policies.Act.UPLOAD, site)
    patient = Patient.objects.filter(site=site, mrn=identity.mrn.strip()).first()
    if patient is None:
        policies.require(actor, policies.Act.ADD_PATIENT, site)
        _new_patient(site=site, **dataclasses.asdict(identity))
        return None
    differences = patient_differences(patient, identity.as_header())
    if differences and not differences_accepted:
        raise PatientDiffers(
            Sentence(
                gettext_noop(
                    "A patient with the record number {mrn} exists already, with another {fields}. Compare both, and accept the "
                    "differences if they are the same person, or correct the record number."
                ),
                mrn=patient.mrn,
                fields=_enumerated([_IN_A_SENTENCE[difference.field] for difference in differences]),
            )
        )
    return patient


def patient_identify_or_create(
    *, actor: User, site: Site, identity: PatientIdentity, differences_accepted: bool = False
) -> Patient:
    """Like ``patient_identify``, and creates the patient where there is none."""

    def identify() -> Patient | None:
        return patient_identify(
            actor=actor, site=site, identity=identity, differences_accepted=differences_accepted
        )

    if patient := identify():
        return patient
    try:
        return patient_create(actor=actor, site=site, **dataclasses.asdict(identity))
    except ValidationError:
        # The fields are right, so somebody else took the record number since.
        if patient := identify():
            return patient
        raise


def patient_open(*, actor: User, patient: Patient) -> Patient:
    """Put on record that ``actor`` looked at this patient."""
    policies.require(actor, policies.Act.VIEW_RECORDS, patient.site)
    audit_record(
        actor=actor, action=AuditAction.PATIENT_VIEWED, site=patient.site, patient=patient, target=patient
    )
    return patient


#: As they stand in the middle of a sentence.
_IN_A_SENTENCE = {
    "Record number": gettext_noop("record number"),
    "Name": gettext_noop("name"),
    "Birth date": gettext_noop("birth date"),
    "Sex": gettext_noop("sex"),
}


def _enumerated(names: Sequence[str]) -> Sentence:
    *before, last = [Sentence(name) for name in names]
    for name in reversed(before):
        last = Sentence(gettext_noop("{one} and {other}"), one=name, other=last)
    return last


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One field, by its name in English, in which a file and the patient's record do not say the same."""

    field: str
    in_file: str
    on_record: str


def patient_differences(patient: Patient, header: Mapping[str, Any]) -> list[Difference]:
    """What a DICOM header says about its patient that the record contradicts; what the file does not say is no difference."""
    pairs = [
        (gettext_noop("Record number"), str(header.get("patient_id") or ""), patient.mrn),
        (gettext_noop("Name"), str(header.get("patient_name") or ""), patient.person_name),
        (
            gettext_noop("Birth date"),
            str(header.get("patient_birth_date") or ""),
            str(patient.birth_date or ""),
        ),
        (gettext_noop("Sex"), str(header.get("patient_sex") or ""), patient.sex),
    ]
    return [
        Difference(field, in_file, on_record)
        for field, in_file, on_record in pairs
        if in_file and on_record and not _is_same(field, in_file, on_record)
    ]


def _is_same(field: str, in_file: str, on_record: str) -> bool:
    if field != "Name":
        return _comparable(in_file) == _comparable(on_record)
    # PS3.5 6.2.1.2: alphabetic=ideographic=phonetic. A device that cannot write one of them says nothing by leaving it out.
    groups = [
        (_comparable(one), _comparable(other))
        for one, other in zip_longest(in_file.split("="), on_record.split("="), fillvalue="")
    ]
    in_both = [(one, other) for one, other in groups if one and other]
    return bool(in_both) and all(one == other for one, other in in_both)


def _comparable(text: str) -> str:
    """Case, width, spaces and trailing empty name components do not make another person."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("^", " ").split())
