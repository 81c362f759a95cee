"""PCR results and symptom notes."""

import datetime as dt
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from diagnosis.models import AuditEvent, LabResult, SymptomNote
from diagnosis.services.clinical_notes import lab_result_add, symptom_note_add
from tests.factories import PatientFactory


@pytest.fixture
def patient(site):
    return PatientFactory(site=site)


def yesterday() -> dt.datetime:
    return timezone.now() - dt.timedelta(days=1)


def add_pcr(actor, patient, **values):
    return lab_result_add(
        actor=actor, patient=patient, **{"result": "detected", "collected_at": yesterday(), **values}
    )


def test_a_pcr_result_is_kept_with_its_loinc_code_and_is_on_record(doctor, patient):
    result = add_pcr(doctor, patient, ct_value=Decimal("23.5"))
    assert result.loinc == "94500-6"
    event = AuditEvent.objects.get(action="lab_result_added")
    assert (event.patient, event.object_id, event.details) == (
        patient,
        str(result.pk),
        {"result": "detected"},
    )


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("collected_at", {"collected_at": timezone.now() + dt.timedelta(days=1)}),
        ("received_at", {"received_at": timezone.now() + dt.timedelta(hours=1)}),
        ("ct_value", {"ct_value": Decimal("0.5")}),
        ("ct_value", {"ct_value": Decimal("99")}),
        ("ct_value", {"ct_value": Decimal("30"), "result": "not_detected"}),
        ("result", {"result": "positive"}),
        ("specimen", {"specimen": "blood"}),
        ("laboratory", {"laboratory": "a\nb"}),
    ],
)
def test_a_pcr_result_that_cannot_be_true_is_refused_at_its_field(doctor, patient, field, values):
    with pytest.raises(ValidationError) as error:
        add_pcr(doctor, patient, **values)
    assert field in error.value.message_dict
    assert not LabResult.objects.exists()
    assert not AuditEvent.objects.filter(action="lab_result_added").exists()


def test_a_result_is_not_received_before_its_sample_was_collected(doctor, patient):
    with pytest.raises(ValidationError, match="before the sample was collected"):
        add_pcr(doctor, patient, received_at=yesterday() - dt.timedelta(days=1))


@pytest.mark.parametrize("person", ["admin", "outsider"])
def test_those_who_do_not_treat_the_patient_add_nothing(person, patient, request):
    with pytest.raises(PermissionDenied):
        add_pcr(request.getfixturevalue(person), patient)
    with pytest.raises(PermissionDenied):
        symptom_note_add(actor=request.getfixturevalue(person), patient=patient, text="Cough")


def test_a_symptom_note_keeps_coded_symptoms_with_their_severity(doctor, patient):
    note = symptom_note_add(
        actor=doctor, patient=patient, symptoms={"49727002": "mild", "386661006": "severe"}, spo2_percent=93
    )
    assert {str(symptom) for symptom in note.symptoms.all()} == {"Cough (Mild)", "Fever (Severe)"}


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("symptoms", {"symptoms": {"0": "mild"}}),
        ("symptoms", {"symptoms": {"49727002": "terrible"}}),
        ("onset_date", {"onset_date": timezone.localdate() + dt.timedelta(days=2)}),
        ("noted_at", {"noted_at": timezone.now() + dt.timedelta(days=1), "text": "x"}),
        ("temperature_c", {"temperature_c": Decimal("47")}),
        ("spo2_percent", {"spo2_percent": 101}),
        ("text", {"text": "x" * 10_001}),
        ("__all__", {"text": "   "}),
    ],
)
def test_a_symptom_note_that_cannot_be_true_is_refused_at_its_field(doctor, patient, field, values):
    with pytest.raises(ValidationError) as error:
        symptom_note_add(actor=doctor, patient=patient, **values)
    names = error.value.message_dict if hasattr(error.value, "error_dict") else {"__all__"}
    assert field in names
    assert not SymptomNote.objects.exists()
