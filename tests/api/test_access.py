"""Every address by every role, as one table."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from diagnosis.api.urls import urlpatterns
from diagnosis.models import AuditEvent
from diagnosis.selectors.studies import second_opinion
from tests.api import case_access
from tests.case_records import case_records
from tests.factories import ImageFactory, PredictionFactory, ReviewFactory

PEOPLE = ("doctor", "radiologist", "admin", "outsider", "anonymous")

# (method, name of the address): status for each of PEOPLE. An outsider is not told that the record exists.
TABLE = {
    ("post", "token"): (400, 400, 400, 400, 400),
    ("post", "logout"): (204, 204, 204, 204, 401),
    ("get", "me"): (200, 200, 200, 200, 401),
    ("get", "sites"): (200, 200, 200, 200, 401),
    # The outsider adds a patient and uploads at home, where they are a doctor.
    ("get", "patients"): (200, 200, 200, 200, 401),
    ("post", "patients"): (201, 201, 403, 201, 401),
    ("get", "patient"): (200, 200, 200, 404, 401),
    ("get", "lab_results"): (200, 200, 200, 404, 401),
    ("post", "lab_results"): (201, 201, 403, 404, 401),
    ("get", "symptom_notes"): (200, 200, 200, 404, 401),
    ("post", "symptom_notes"): (201, 201, 403, 404, 401),
    ("get", "timeline"): (200, 200, 200, 404, 401),
    ("post", "uploads"): (422, 422, 403, 422, 401),
    ("get", "studies"): (200, 200, 200, 200, 401),
    ("get", "study"): (200, 200, 200, 404, 401),
    ("get", "reviews"): (200, 200, 200, 404, 401),
    # At a site that shows the second opinion at once nothing is to be locked.
    ("post", "first_read"): (403, 400, 403, 404, 401),
    ("post", "reveal"): (403, 400, 403, 404, 401),
    ("post", "reviews"): (403, 201, 403, 404, 401),
    # A radiologist who has written nothing has no draft.
    ("get", "report_draft"): (403, 404, 403, 404, 401),
    ("post", "report_draft"): (403, 200, 403, 404, 401),
    ("delete", "report_draft"): (403, 404, 403, 404, 401),
    ("post", "addenda"): (403, 201, 403, 404, 401),
    ("post", "corrections"): (403, 201, 403, 404, 401),
    ("get", "report"): (200, 200, 200, 404, 401),
    ("get", "image"): (200, 200, 200, 404, 401),
    ("get", "original"): (200, 200, 200, 404, 401),
    ("get", "preview"): (200, 200, 200, 404, 401),
    # A model's card holds nothing of a patient.
    ("get", "models"): (200, 200, 200, 200, 401),
    ("get", "model"): (200, 200, 200, 200, 401),
    ("get", "prediction"): (200, 200, 200, 404, 401),
    ("post", "run_again"): (202, 202, 202, 404, 401),
    ("get", "heat_map"): (200, 200, 200, 404, 401),
    ("get", "unknown"): (404, 404, 404, 404, 404),
} | case_access.TABLE


@pytest.fixture
def records(site, doctor, radiologist, patient, study, prediction, lab_result, symptom_note):
    """Addresses and bodies for every row of the table."""
    failed = PredictionFactory(image=ImageFactory(study__patient=patient), failed=True)
    token = second_opinion(study).token
    signed = ReviewFactory(study__patient=patient)
    paths = {
        "report_draft": f"studies/{study.pk}/report-draft/",
        "addenda": f"studies/{signed.study.pk}/addenda/",
        "corrections": f"studies/{signed.study.pk}/corrections/",
        "report": f"reviews/{signed.pk}/report/",
        "token": "auth/token/",
        "logout": "auth/logout/",
        "me": "me/",
        "sites": "sites/",
        "uploads": "uploads/",
        "patients": "patients/",
        "patient": f"patients/{patient.pk}/",
        "lab_results": f"patients/{patient.pk}/lab-results/",
        "symptom_notes": f"patients/{patient.pk}/symptom-notes/",
        "timeline": f"patients/{patient.pk}/timeline/",
        "studies": "studies/",
        "study": f"studies/{study.pk}/",
        "first_read": f"studies/{study.pk}/first-read/",
        "reveal": f"studies/{study.pk}/reveal/",
        "reviews": f"studies/{study.pk}/reviews/",
        "image": f"images/{prediction.image.pk}/",
        "original": f"images/{prediction.image.pk}/original/",
        "preview": f"images/{prediction.image.pk}/preview/",
        "models": "models/",
        "model": f"models/{prediction.model_version.pk}/",
        "prediction": f"predictions/{prediction.pk}/",
        "run_again": f"predictions/{failed.pk}/run-again/",
        "heat_map": f"predictions/{prediction.pk}/heat-map/covid19/",
        "unknown": "nothing/here/",
    } | case_access.paths(case_records(patient, doctor=doctor, radiologist=radiologist))
    bodies = {
        "patients": {"mrn": "NEW-1"},
        "lab_results": {"result": "detected", "collected_at": "2026-01-02T08:00:00Z"},
        "symptom_notes": {"text": "Cough."},
        "report_draft": {"version": 0, "findings": "Clear."},
        "addenda": {"follows": str(signed.pk), "addendum": "Told the doctor."},
        "corrections": {
            "follows": str(signed.pk),
            "change_reason": "Wrong side.",
            "label": "normal",
            "findings": "On the right.",
        },
        "reviews": {"decision": "confirm", "opinion_token": token},
        "first_read": {"label": "normal", "confidence": "likely", "image_set": "0"},
    }
    return paths, bodies | case_access.BODIES


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize(("method", "name"), TABLE)
def test_each_role_gets_what_the_table_says(method, name, person, records, client_of, request):
    paths, bodies = records
    client = APIClient() if person == "anonymous" else client_of(request.getfixturevalue(person))
    path = f"/api/v1/{paths[name]}"
    if name == "uploads":
        response = client.post(path, {"files": SimpleUploadedFile("a.dcm", b"text")}, format="multipart")
    elif method == "post":
        response = client.post(path, bodies.get(name), format="json")
    else:
        response = client.get(path)
    assert response.status_code == TABLE[method, name][PEOPLE.index(person)], getattr(
        response, "data", response
    )


def test_the_table_knows_every_address():
    assert {pattern.name for pattern in urlpatterns} == {name for _, name in TABLE}


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
@pytest.mark.parametrize("name", ["patient", "study", "reviews", "image", "prediction", "lab_results"])
def test_no_record_is_changed_or_deleted_over_the_api(method, name, records, client_of, radiologist):
    response = getattr(client_of(radiologist), method)(f"/api/v1/{records[0][name]}")
    assert response.status_code == 405


def test_a_denied_act_is_on_record_with_who_tried_what_where(records, client_of, doctor, site):
    paths, bodies = records
    response = client_of(doctor).post(f"/api/v1/{paths['reviews']}", bodies["reviews"], format="json")
    assert response.json()["detail"].startswith(
        "Your role at Saint Example does not allow you to sign a read."
    )
    event = AuditEvent.objects.get(action="access_denied")
    assert (event.actor, event.site, event.details) == (doctor, site, {"act": "sign a read"})


def test_a_person_without_any_role_sees_nothing_and_adds_nothing(client_of, records, doctor):
    doctor.memberships.all().delete()
    client = client_of(doctor)
    assert client.get("/api/v1/studies/").json()["results"] == []
    assert client.get(f"/api/v1/{records[0]['study']}").status_code == 404
    assert client.post("/api/v1/patients/", {"mrn": "N-1"}, format="json").status_code == 403
