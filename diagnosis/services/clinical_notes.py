"""PCR results and symptom notes: what stands beside the image."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from diagnosis import policies
from diagnosis.models import (
    AuditAction,
    LabResult,
    Patient,
    Severity,
    Specimen,
    Symptom,
    SymptomCode,
    SymptomNote,
    User,
)
from diagnosis.services.audit import audit_record
from diagnosis.services.discrepancies import late_pcr_check, studies_lock


@transaction.atomic
def lab_result_add(
    *,
    actor: User,
    patient: Patient,
    result: str,
    collected_at: dt.datetime,
    received_at: dt.datetime | None = None,
    specimen: str = Specimen.NASOPHARYNGEAL,
    ct_value: Decimal | None = None,
    laboratory: str = "",
) -> LabResult:
    """Add a PCR result, and compare it with the reads that were signed without it.

    Raises ``ValidationError`` with field errors, for example for a date in the future.
    """
    policies.require(actor, policies.Act.ADD_LAB_RESULT, patient.site)
    lab_result = LabResult(
        patient=patient,
        result=result,
        collected_at=collected_at,
        received_at=received_at,
        specimen=specimen,
        ct_value=ct_value,
        laboratory=laboratory,
        entered_by=actor,
    )
    lab_result.full_clean()
    studies = studies_lock(patient)
    lab_result.save(force_insert=True)
    audit_record(
        actor=actor,
        action=AuditAction.LAB_RESULT_ADDED,
        site=patient.site,
        patient=patient,
        target=lab_result,
        details={"result": lab_result.result},
    )
    late_pcr_check(actor=actor, lab_result=lab_result, studies=studies)
    return lab_result


@transaction.atomic
def symptom_note_add(
    *,
    actor: User,
    patient: Patient,
    symptoms: Mapping[str, str] | None = None,
    onset_date: dt.date | None = None,
    temperature_c: Decimal | None = None,
    spo2_percent: int | None = None,
    exposure: str = "",
    vaccination: str = "",
    text: str = "",
    noted_at: dt.datetime | None = None,
) -> SymptomNote:
    """Add a symptom note; ``symptoms`` maps a ``SymptomCode`` to a ``Severity``. Raises ``ValidationError``."""
    policies.require(actor, policies.Act.ADD_SYMPTOM_NOTE, patient.site)
    symptoms = symptoms or {}
    if any(code not in SymptomCode.values for code in symptoms):
        raise ValidationError(
            {"symptoms": _("One of the symptoms is not in the list. Choose from the list.")}
        )
    if any(severity not in Severity.values for severity in symptoms.values()):
        raise ValidationError({"symptoms": _("A severity is mild, moderate or severe.")})
    note = SymptomNote(
        patient=patient,
        onset_date=onset_date,
        temperature_c=temperature_c,
        spo2_percent=spo2_percent,
        exposure=exposure,
        vaccination=vaccination,
        text=text,
        noted_at=noted_at or timezone.now(),
        entered_by=actor,
    )
    note.full_clean()
    if not (
        symptoms or onset_date or temperature_c or spo2_percent or exposure or vaccination or text.strip()
    ):
        raise ValidationError(_("The note is empty. Enter at least one symptom, measurement or remark."))
    note.save(force_insert=True)
    Symptom.objects.bulk_create(
        Symptom(note=note, code=code, severity=severity) for code, severity in symptoms.items()
    )
    audit_record(
        actor=actor, action=AuditAction.SYMPTOM_NOTE_ADDED, site=patient.site, patient=patient, target=note
    )
    return note
