"""An administrator looks at a record in the admin: that is on record like any other look."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _

from diagnosis import policies
from diagnosis.models import (
    AuditAction,
    CriticalResult,
    Discrepancy,
    FirstRead,
    Image,
    IncomingFile,
    LabResult,
    Patient,
    Prediction,
    Review,
    SecondRead,
    Site,
    Study,
    SymptomNote,
    User,
)
from diagnosis.services.audit import audit_record

ClinicalRecord = (
    Patient
    | Study
    | Image
    | Prediction
    | FirstRead
    | Review
    | SecondRead
    | Discrepancy
    | CriticalResult
    | LabResult
    | SymptomNote
    | IncomingFile
)


@transaction.atomic
def record_inspect(*, actor: User, record: ClinicalRecord) -> None:
    """Put on record that ``actor`` opened ``record`` in the admin. Raises ``PermissionDenied``."""
    site, patient, action = _belongs_to(record)
    if not policies.may_audit(actor, site):
        raise PermissionDenied(
            _("Only an administrator of %(site)s may inspect its records.") % {"site": site}
        )
    audit_record(
        actor=actor, action=action, site=site, patient=patient, target=record, details={"opened_in": "admin"}
    )


def _belongs_to(record: ClinicalRecord) -> tuple[Site, Patient | None, AuditAction]:
    match record:
        case Patient():
            return record.site, record, AuditAction.PATIENT_VIEWED
        case LabResult() | SymptomNote():
            return record.patient.site, record.patient, AuditAction.PATIENT_VIEWED
        case Study():
            return record.site, record.patient, AuditAction.STUDY_VIEWED
        case Discrepancy():
            return record.review.study.site, record.review.study.patient, AuditAction.STUDY_VIEWED
        case Image() | FirstRead() | Review() | SecondRead() | CriticalResult():
            return record.study.site, record.study.patient, AuditAction.STUDY_VIEWED
        case Prediction():
            return record.image.study.site, record.image.study.patient, AuditAction.STUDY_VIEWED
        case IncomingFile():
            return record.site, None, AuditAction.STUDY_VIEWED
