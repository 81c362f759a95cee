"""Every address by every role, as one table; an address that is missing from it fails."""

import pytest
from django.urls import reverse

from diagnosis.models import PacsPeer, SavedFilter
from diagnosis.selectors.studies import second_opinion
from diagnosis.web.urls import urlpatterns
from tests.case_records import case_records
from tests.factories import (
    ImageFactory,
    IncomingFileFactory,
    ModelPictureFactory,
    PredictionFactory,
    ResumableUploadFactory,
    ReviewFactory,
)
from tests.web import case_access
from tests.web.conftest import HTMX
from tests.web.files import png, uploaded

PEOPLE = ("doctor", "radiologist", "admin", "outsider", "anonymous")

# (method, address): status for each of PEOPLE. 302 is the login, 404 does not tell that the record exists; the waiting
# file is the doctor's.
TABLE = {
    ("get", "home"): (200, 200, 200, 200, 302),
    # Also who is not logged in chooses the language of the login.
    ("post", "language"): (302, 302, 302, 302, 302),
    ("get", "preferences"): (200, 200, 200, 200, 302),
    ("post", "preferences"): (302, 302, 302, 302, 401),
    ("post", "search"): (200, 200, 200, 200, 401),
    ("post", "refresh"): (200, 200, 200, 200, 401),
    # The saved view is the doctor's.
    ("post", "view_save"): (302, 302, 302, 302, 401),
    ("post", "view_default"): (302, 302, 302, 302, 401),
    ("post", "view_delete"): (302, 404, 404, 404, 401),
    ("post", "view_restore"): (302, 404, 404, 404, 401),
    ("post", "upload"): (201, 201, 403, 404, 401),
    ("get", "waiting"): (200, 200, 200, 200, 302),
    ("get", "confirm"): (200, 200, 200, 200, 302),
    ("post", "confirm"): (409, 409, 409, 409, 401),
    ("post", "confirm_patients"): (409, 409, 409, 409, 401),
    ("post", "discard"): (302, 302, 302, 302, 401),
    # A script asks; the upload is the doctor's.
    ("post", "parts"): (201, 201, 403, 404, 401),
    ("head", "part"): (200, 404, 404, 404, 401),
    ("patch", "part"): (204, 404, 404, 404, 401),
    ("delete", "part"): (204, 404, 404, 404, 401),
    ("post", "part_result"): (404, 404, 404, 404, 401),
    ("get", "waiting_thumbnail"): (200, 404, 404, 404, 302),
    ("get", "waiting_preview"): (200, 404, 404, 404, 302),
    # Rules hold nothing of a patient: everybody who is logged in may read them.
    ("get", "deidentification"): (200, 200, 200, 200, 302),
    # The outsider searches and fetches at home.
    ("get", "archives"): (200, 200, 403, 200, 302),
    ("post", "archives"): (422, 422, 403, 422, 401),
    ("post", "fetch"): (302, 302, 403, 404, 401),
    ("get", "retrievals"): (200, 200, 200, 200, 302),
    ("get", "study"): (200, 200, 200, 404, 302),
    ("get", "study_live"): (200, 200, 200, 404, 302),
    # Back to the worklist where the list has no other, or where the study is none of one's own.
    ("get", "next_study"): (302, 302, 302, 302, 302),
    ("get", "menu"): (200, 200, 200, 404, 302),
    ("get", "claim"): (200, 200, 200, 404, 302),
    ("post", "claim"): (403, 200, 403, 404, 401),
    ("post", "claim_end"): (403, 403, 409, 404, 401),
    ("post", "priority"): (200, 200, 200, 404, 401),
    # Who may not read is not assigned: neither the doctor nor the administrator.
    ("post", "reader"): (403, 200, 400, 404, 401),
    # At a site that shows the second opinion at once nothing is to be locked.
    ("post", "first_read"): (403, 400, 403, 404, 401),
    ("post", "reveal"): (403, 400, 403, 404, 401),
    ("post", "review"): (403, 200, 403, 404, 401),
    # The report is the radiologist's; the draft is nobody else's.
    ("get", "report_draft"): (403, 200, 403, 404, 302),
    ("post", "report_draft"): (403, 302, 403, 404, 401),
    ("post", "report_draft_discard"): (403, 302, 403, 404, 401),
    ("get", "report"): (200, 200, 200, 404, 302),
    ("post", "report_addendum"): (403, 302, 403, 404, 401),
    ("post", "report_correction"): (403, 302, 403, 404, 401),
    ("get", "report_pdf"): (200, 200, 200, 404, 302),
    ("post", "run_again"): (200, 200, 200, 404, 401),
    # A model's card holds nothing of a patient: everybody who is logged in may read it.
    ("get", "models"): (200, 200, 200, 200, 302),
    ("get", "model"): (200, 200, 200, 200, 302),
    ("get", "model_card"): (200, 200, 200, 200, 302),
    ("get", "model_picture"): (200, 200, 200, 200, 302),
    ("get", "heat_map"): (200, 200, 200, 404, 302),
    ("get", "preview"): (200, 200, 200, 404, 302),
    ("get", "thumbnail"): (200, 200, 200, 404, 302),
    ("get", "original"): (200, 200, 200, 404, 302),
    ("get", "viewing"): (200, 200, 200, 404, 302),
    ("get", "samples"): (200, 200, 200, 404, 302),
    ("get", "patient"): (200, 200, 200, 404, 302),
    ("get", "timeline"): (200, 200, 200, 404, 302),
    ("get", "lab_results"): (200, 200, 403, 404, 302),
    ("post", "lab_results"): (200, 200, 403, 404, 401),
    ("get", "symptom_notes"): (200, 200, 403, 404, 302),
    ("post", "symptom_notes"): (200, 200, 403, 404, 401),
} | case_access.TABLE


@pytest.fixture
def signed(patient):
    """A report to read, to add to and to correct."""
    return ReviewFactory(study__patient=patient)


@pytest.fixture
def addresses(site, doctor, radiologist, patient, study, image, prediction, signed):
    waiting = IncomingFileFactory(site=site, uploaded_by=doctor)
    upload = ResumableUploadFactory(site=site, uploaded_by=doctor)
    failed = PredictionFactory(image=ImageFactory(study__patient=patient), failed=True)
    saved = SavedFilter.objects.create(user=doctor, name="Nights", query={})
    arguments = {
        "view_delete": [saved.pk],
        "view_restore": [saved.pk],
        **{name: [study.pk] for name in ("next_study", "menu", "claim", "claim_end", "priority", "reader")},
        "report_draft": [study.pk],
        "report_draft_discard": [study.pk],
        "report": [signed.study.pk],
        "report_addendum": [signed.study.pk],
        "report_correction": [signed.study.pk],
        "report_pdf": [signed.pk],
        "waiting_thumbnail": [waiting.pk],
        "waiting_preview": [waiting.pk],
        "part": [upload.pk],
        "part_result": [upload.pk],
        "study": [study.pk],
        "study_live": [study.pk],
        "first_read": [study.pk],
        "reveal": [study.pk],
        "review": [study.pk],
        "run_again": [failed.pk],
        "heat_map": [prediction.pk, "covid19"],
        "model": [prediction.model_version.pk],
        "model_card": [prediction.model_version.pk],
        "model_picture": [
            prediction.model_version.pk,
            ModelPictureFactory(model_version=prediction.model_version).name,
        ],
        "preview": [image.pk],
        "thumbnail": [image.pk],
        "original": [image.pk],
        "viewing": [image.pk],
        "samples": [image.pk],
        "patient": [patient.pk],
        "timeline": [patient.pk],
        "lab_results": [patient.pk],
        "symptom_notes": [patient.pk],
    } | case_access.arguments(case_records(patient, doctor=doctor, radiologist=radiologist))
    queries = {"parts": f"?site={site.pk}"}
    return lambda name: reverse(f"web:{name}", args=arguments.get(name, [])) + queries.get(name, "")


@pytest.fixture
def archive(site, doctor):
    return PacsPeer.objects.create(
        site=site, name="PACS", account=doctor, query_protocol="dicomweb", dicomweb_url="http://127.0.0.1:9"
    )


@pytest.fixture
def bodies(archive, site, study, radiologist, signed):
    return {
        "upload": {"site": site.pk, "files": uploaded("chest.png", png())},
        "view_save": {"name": "Mine", "status": "open"},
        "view_default": {"view": "stat"},
        "claim": {"act": "take"},
        "claim_end": {"reason": "agreed"},
        "priority": {"priority": "stat", "seen": "routine"},
        "reader": {"reader": "me"},
        "review": {"decision": "confirm", "opinion_token": second_opinion(study).token},
        "report_draft": {"author": radiologist.pk, "findings": "Clear."},
        "report_addendum": {"addendum": "Told the doctor.", "follows": signed.pk},
        "report_correction": {
            "change_reason": "Wrong side.",
            "label": "normal",
            "findings": "On the right.",
            "follows": signed.pk,
        },
        "fetch": {"archive": archive.pk, "study_instance_uid": "1.2.3"},
        "lab_results": {"result": "detected", "collected_at": "2026-01-02T08:00", "specimen": "saliva"},
        "symptom_notes": {"text": "Cough."},
    } | case_access.BODIES


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize(("method", "name"), TABLE)
def test_each_role_gets_what_the_table_says(browser, request, addresses, bodies, person, method, name):
    client = browser(None if person == "anonymous" else request.getfixturevalue(person))
    sends = {"data": bodies.get(name, {}), "headers": HTMX} if method == "post" else {}
    if name in {"parts", "part"}:
        sends["headers"] = {"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Upload-Offset": "0"}
    if method == "patch":
        sends |= {"data": b"1", "content_type": "application/offset+octet-stream"}
    response = getattr(client, method)(addresses(name), **sends)
    assert response.status_code == TABLE[method, name][PEOPLE.index(person)]


def test_no_address_is_missing_from_the_table():
    assert {pattern.name for pattern in urlpatterns} == {name for _, name in TABLE}


@pytest.mark.parametrize(("method", "name"), TABLE)
def test_an_address_takes_no_other_method(browser, doctor, addresses, method, name):
    taken = {known for known, other in TABLE if other == name}
    for wrong in {"get", "post", "put", "delete"} - taken:
        assert getattr(browser(doctor), wrong)(addresses(name)).status_code == 405


@pytest.mark.parametrize("name", sorted({name for method, name in TABLE if method == "post"}))
def test_nothing_is_changed_from_another_page(browser, doctor, addresses, bodies, name):
    client = browser(doctor, enforce_csrf_checks=True)
    response = client.post(addresses(name), bodies.get(name, {}))
    assert response.status_code == 403
    assert "This page was too old" in response.content.decode()


@pytest.mark.parametrize("name", sorted({name for method, name in TABLE if method == "get"}))
def test_nothing_stays_in_a_cache(browser, doctor, addresses, name):
    response = browser(doctor).get(addresses(name))
    assert {"no-store", "private"} <= set(response["Cache-Control"].split(", "))
