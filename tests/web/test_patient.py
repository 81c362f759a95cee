"""A patient's page, and what is added to the timeline."""

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone

from diagnosis.models import AuditEvent, LabResult, SymptomNote
from tests.factories import LabResultFactory, PatientFactory, StudyFactory
from tests.web.conftest import HTMX
from tests.web.pages import html, text

COUGH = "symptom_49727002"


def page_of(patient):
    return reverse("web:patient", args=[patient.pk])


def add_pcr(client, patient, headers=HTMX, **values):
    sent = {"result": "detected", "specimen": "nasopharyngeal", "collected_at": "2026-07-01T08:00", **values}
    return client.post(reverse("web:lab_results", args=[patient.pk]), sent, headers=headers)


def add_symptoms(client, patient, headers=HTMX, **values):
    return client.post(reverse("web:symptom_notes", args=[patient.pk]), values, headers=headers)


def test_the_page_shows_identity_and_timeline_and_is_on_record(browser, doctor, patient, study):
    LabResultFactory(patient=patient)
    page = text(browser(doctor).get(page_of(patient)))
    for words in ("Example, Ana", "MRN-1", "Female", "PCR Detected", "X-ray", "COVID-19", "Add a PCR result"):
        assert words in page
    event = AuditEvent.objects.get(action="patient_viewed")
    assert (event.actor, event.patient) == (doctor, patient)


def test_a_page_without_entries_says_so(browser, doctor, patient):
    page = text(browser(doctor).get(page_of(patient)))
    assert "Nothing is on record yet: no PCR result, no symptom note, no X-ray." in page


def test_an_administrator_reads_and_adds_nothing(browser, admin, patient):
    page = text(browser(admin).get(page_of(patient)))
    assert "Example, Ana" in page
    assert "Add a PCR result" not in page
    assert add_pcr(browser(admin), patient).status_code == 403
    assert add_symptoms(browser(admin), patient, text="Cough.").status_code == 403
    assert browser(admin).get(reverse("web:lab_results", args=[patient.pk])).status_code == 403
    assert not LabResult.objects.exists()
    assert not SymptomNote.objects.exists()


def test_an_outsider_learns_nothing(browser, outsider, patient):
    client = browser(outsider)
    for name in ("patient", "timeline", "lab_results", "symptom_notes"):
        assert client.get(reverse(f"web:{name}", args=[patient.pk])).status_code == 404
    assert add_pcr(client, patient).status_code == 404


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "山田^太郎", "مثال^ليلى"])
def test_a_name_is_text(browser, doctor, site, name):
    patient = PatientFactory(site=site, person_name=name)
    page = html(browser(doctor).get(page_of(patient)))
    assert "<script>alert" not in page
    shown = patient.display_name.replace("<", "&lt;").replace(">", "&gt;")
    assert f"<bdi>{shown}</bdi>" in page


def test_a_pcr_result_is_read_by_the_hospitals_clock_and_shown_by_it(browser, doctor, patient):
    client = browser(doctor)
    response = add_pcr(client, patient, ct_value="22,4", laboratory="Central")
    assert response.status_code == 200
    assert "timeline-changed" in response["HX-Trigger"]
    assert "The PCR result is on the timeline." in text(response)
    result = LabResult.objects.get()
    assert result.collected_at == dt.datetime(2026, 7, 1, 6, tzinfo=dt.UTC)  # Madrid, in summer.
    assert str(result.ct_value) == "22.4"
    shown = text(client.get(reverse("web:timeline", args=[patient.pk]), headers=HTMX))
    assert "PCR Detected 1 Jul 2026, 08:00 Nasopharyngeal swab · Ct 22.4 · Central" in shown


@pytest.mark.parametrize("field", ["collected_at", "received_at"])
def test_a_pcr_result_dated_in_the_future_is_refused_beside_its_field(browser, doctor, patient, field):
    tomorrow = (timezone.now() + dt.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    response = add_pcr(browser(doctor), patient, laboratory="Central", **{field: tomorrow})
    assert response.status_code == 422
    assert f'id="pcr_{field}_error"' in html(response)
    assert "This time lies in the future." in text(response)
    assert 'value="Central"' in html(response)
    assert f'value="{tomorrow}"' in html(response)
    assert not LabResult.objects.exists()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"result": ""}, "Choose what the laboratory found."),
        ({"collected_at": ""}, "Enter when the sample was collected."),
        ({"collected_at": "yesterday"}, "Enter a valid date/time."),
        ({"collected_at": "2026-03-29T02:30"}, "be interpreted in time zone Europe/Madrid"),
        ({"received_at": "2026-06-30T08:00"}, "cannot have been received before the sample was collected"),
        ({"ct_value": "low"}, "This is not a number."),
        ({"ct_value": "NaN"}, "This is not a number."),
        ({"ct_value": "500"}, "less than or equal to 60"),
        ({"result": "not_detected", "ct_value": "22"}, "has no Ct value"),
        ({"specimen": "hair"}, "Select a valid choice"),
        ({"laboratory": "x" * 201}, "at most 200 characters"),
        ({"laboratory": "a\x07b"}, "Control characters"),
    ],
)
def test_a_pcr_result_that_is_not_right_is_not_stored(browser, doctor, patient, values, sentence):
    response = add_pcr(browser(doctor), patient, **values)
    assert response.status_code == 422
    assert sentence in text(response)
    assert not LabResult.objects.exists()


def test_a_symptom_note_holds_coded_symptoms_and_measurements(browser, doctor, patient):
    client = browser(doctor)
    sent = {
        COUGH: "moderate",
        "onset_date": "2026-06-28",
        "temperature_c": "38,5",
        "spo2_percent": "91",
        "exposure": "contact",
        "vaccination": "complete",
        "text": "Dry.\n<script>alert(1)</script>",
    }
    response = add_symptoms(client, patient, **sent)
    assert response.status_code == 200
    note = SymptomNote.objects.get()
    assert [str(symptom) for symptom in note.symptoms.all()] == ["Cough (Moderate)"]
    page = client.get(page_of(patient))
    for words in (
        "Since 28 Jun 2026",
        "Cough (moderate)",
        "38.5 °C · SpO₂ 91 %",
        "<script>alert(1)</script>",
    ):
        assert words in text(page)
    assert "<script>alert" not in html(page)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "The note is empty."),
        ({"text": "   "}, "The note is empty."),
        ({"text": "x" * 10_001}, "at most 10000 characters"),
        ({"temperature_c": "99"}, "less than or equal to 45"),
        ({"temperature_c": "warm"}, "This is not a number."),
        ({"spo2_percent": "300"}, "less than or equal to 100"),
        ({"spo2_percent": "91.5"}, "no more than 0 decimal places"),
        ({"onset_date": "2999-01-01"}, "This day lies in the future."),
        ({COUGH: "terrible"}, "Select a valid choice"),
        ({"exposure": "maybe"}, "Select a valid choice"),
    ],
)
def test_a_symptom_note_that_is_not_right_is_not_stored(browser, doctor, patient, values, sentence):
    response = add_symptoms(browser(doctor), patient, **values)
    assert response.status_code == 422
    assert sentence in text(response)
    assert not SymptomNote.objects.exists()


def test_a_very_long_text_is_refused_and_the_portal_goes_on(browser, doctor, patient):
    response = add_symptoms(browser(doctor), patient, text="x" * 3_000_000)
    assert response.status_code == 400
    assert "shorten it" in text(response)
    assert not SymptomNote.objects.exists()


def test_without_a_script_the_forms_are_pages_of_their_own(browser, doctor, patient):
    study = StudyFactory(patient=patient)
    client = browser(doctor)
    for name in ("lab_results", "symptom_notes"):
        assert "<form" in html(client.get(reverse(f"web:{name}", args=[patient.pk])))
    wrong = add_pcr(client, patient, headers={}, result="")
    assert wrong.status_code == 422
    assert "<html" in html(wrong)
    assert "Choose what the laboratory found." in text(wrong)
    assert add_pcr(client, patient, headers={})["Location"] == page_of(patient)
    back = add_symptoms(client, patient, headers={}, text="Cough.", study=str(study.pk))
    assert back["Location"] == reverse("web:study", args=[study.pk])


def test_the_way_back_leads_to_no_study_of_another_patient(browser, doctor, patient, site):
    other = StudyFactory(patient=PatientFactory(site=site))
    response = add_symptoms(browser(doctor), patient, headers={}, text="Cough.", study=str(other.pk))
    assert response["Location"] == page_of(patient)


def test_the_timeline_marks_the_study_on_screen(browser, doctor, patient):
    study = StudyFactory(patient=patient)
    client = browser(doctor)
    address = reverse("web:timeline", args=[patient.pk])
    assert "This X-ray" not in text(client.get(address, headers=HTMX))
    assert "This X-ray" in text(client.get(address, {"study": str(study.pk)}, headers=HTMX))
