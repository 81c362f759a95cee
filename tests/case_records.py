"""One record of each kind for the tables of addresses: second reads, a discrepancy, a critical result."""

from __future__ import annotations

import dataclasses
import datetime as dt

from django.utils import timezone

from diagnosis.models import (
    CriticalResult,
    Discrepancy,
    Patient,
    Review,
    SecondRead,
    SecondReadState,
    User,
)
from diagnosis.services.case_rules import Facts
from tests.factories import LabResultFactory, ReviewFactory, UserFactory


@dataclasses.dataclass(frozen=True, slots=True)
class CaseRecords:
    """``plain`` is the read of a study that nobody reads second; ``wished`` waits, ``taken`` is in the radiologist's hands."""

    plain: Review
    wished: SecondRead
    taken: SecondRead
    discrepancy: Discrepancy
    critical: CriticalResult


def case_records(patient: Patient, *, doctor: User, radiologist: User) -> CaseRecords:
    def review() -> Review:
        return ReviewFactory(study__patient=patient, study__status="read", study__submitted_by=doctor)

    def second_read(**values: object) -> SecondRead:
        read = review()
        row = SecondRead.objects.create(study=read.study, review=read, cause_rank=3, **values)
        row.causes.create(kind="requested", asked_by=doctor)
        return row

    now = timezone.now()
    plain = review()
    return CaseRecords(
        plain=plain,
        wished=second_read(state=SecondReadState.WAITING),
        taken=second_read(
            state=SecondReadState.TAKEN,
            holder=radiologist,
            held_since=now,
            held_until=now + dt.timedelta(hours=1),
        ),
        discrepancy=Discrepancy.objects.create(
            review=plain,
            lab_result=LabResultFactory(patient=patient, result="not_detected"),
            verdict="contradicts",
            rule="pcr_negative_reader_covid",
            facts=Facts(reader="covid19", reader_name="COVID-19", pcr="not_detected").as_json(),
        ),
        critical=CriticalResult.objects.create(
            study=plain.study,
            finding_code="pneumothorax",
            finding_display="New pneumothorax",
            found_at=now,
            flagged_by=UserFactory(),
            escalate_at=now + dt.timedelta(minutes=15),
        ),
    )
