"""Whatever comes in, the answer is a clear sentence, and nothing is half stored."""

import re
import struct
import zlib

import pytest
from django.utils import timezone
from pydicom.uid import ExplicitVRLittleEndian

from diagnosis.models import (
    AuditEvent,
    Image,
    LabResult,
    Patient,
    Review,
    SymptomNote,
)
from diagnosis.selectors.studies import second_opinion
from ml.phantom import phantom_dicom, phantom_png
from tests.api.test_uploads import SMALL, dicom, nothing_is_left, results, upload

STRANGE_NAMES = [
    "<script>alert(1)</script>",
    "山田^太郎",
    "مثال^ليلى",
    "O'Brien^Zoë; DROP TABLE",
    "{{7*7}}${7*7}",
]


def forged_png(columns, rows):
    """A PNG of a few bytes that says it is very large."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


BAD_FILES = {
    "0 bytes": (b"", "empty_file"),
    "a text file named .dcm": (b"Dear colleague, please find enclosed", "unknown_kind"),
    "a page of a web site": (b"<html><script>alert(1)</script></html>", "unknown_kind"),
    "a vector drawing": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unknown_kind"),
    "a truncated DICOM": (dicom()[:-2000], "truncated"),
    "a DICOM cut in its header": (dicom()[:400], None),
    "a DICOM with no pixel data": (dicom(elements={"PixelData": None}), "no_pixel_data"),
    "a truncated PNG": (phantom_png(1, **SMALL)[:-200], "truncated"),
    "a PNG that says 60000 x 60000": (forged_png(60000, 60000), "too_many_pixels"),
    "a DICOM that says 65535 x 65535": (dicom(elements={"Rows": 65535, "Columns": 65535}), "too_many_pixels"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_refused_with_a_sentence_and_nothing_is_left(api, patient, stored_files, kind):
    content, code = BAD_FILES[kind]
    response = upload(api, ("chest.dcm", content), patient=str(patient.pk))
    assert response.status_code == 422
    [result] = response.json()["results"]
    assert result["status"] == "refused"
    assert code is None or result["code"] == code
    assert result["reason"].endswith(".")
    assert len(result["reason"].split()) > 8
    assert nothing_is_left(stored_files)
    event = AuditEvent.objects.get(action="file_refused")
    assert (event.succeeded, event.details) == (False, {"code": result["code"]})


def test_a_file_over_the_limit_is_refused_and_the_next_one_is_stored(api, patient, settings, stored_files):
    settings.CXR_MAX_UPLOAD_BYTES = 50_000
    response = upload(
        api, ("large.dcm", dicom() + b"\0" * 50_000), ("good.png", phantom_png(1, **SMALL)), mrn="MRN-1"
    )
    assert results(response) == [("large.dcm", "refused", "too_large"), ("good.png", "stored", "")]
    assert "limit" in response.json()["results"][0]["reason"]
    assert len(stored_files()) == 3


def test_a_lateral_hand_is_stored_with_its_study_and_not_analysed(api, patient):
    hand = phantom_dicom(
        3, **SMALL, patient_id="MRN-1", patient_name="Example^Ana", patient_birth_date="", patient_sex="F",
        view_position="LL", elements={"BodyPartExamined": "HAND", "ImageLaterality": "R"},
    )  # fmt: skip
    assert results(upload(api, ("hand.dcm", hand))) == [("hand.dcm", "stored", "lateral")]
    image = Image.objects.get()
    assert (image.body_part_examined, image.view_position, image.laterality) == ("HAND", "LL", "R")


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd.dcm", "passwd.dcm"),
        ("..\\..\\windows\\system.dcm", "system.dcm"),
        ("<img src=x onerror=alert(1)>.dcm", "<img src=x onerror=alert(1)>.dcm"),
        ("胸部.dcm", "胸部.dcm"),
        ("x" * 300 + ".dcm", "x" * 251 + ".dcm"),
    ],
)
def test_the_name_of_a_file_is_text_and_never_a_path(api, patient, stored_files, private_media, sent, shown):
    [result] = upload(api, (sent, dicom())).json()["results"]
    assert (result["file"], result["status"]) == (shown, "stored")
    assert Image.objects.get().original_name == shown
    assert all(
        re.fullmatch(r"originals/[0-9a-f]{64}-[0-9a-f]{32}|(previews|thumbnails)/[0-9a-f-]{36}\.jpg", name)
        for name in stored_files()
    )
    outside = [
        path
        for path in private_media.parent.rglob("*")
        if path.is_file() and private_media not in path.parents
    ]
    assert outside == []


@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_a_patients_name_comes_back_as_it_was_written(api, name):
    response = api.post("/api/v1/patients/", {"mrn": "N-1", "person_name": name})
    assert response.status_code == 201
    assert response.json()["person_name"] == name
    assert response["Content-Type"] == "application/json"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert api.get("/api/v1/patients/", {"search": name.split("^")[0]}).json()["count"] == 1


@pytest.mark.parametrize("name", STRANGE_NAMES[:3])
def test_a_name_in_a_dicom_header_comes_back_as_it_was_written(api, name):
    response = upload(api, dicom(patient_name=name, transfer_syntax=ExplicitVRLittleEndian))
    assert response.status_code == 201
    assert Patient.objects.get().person_name == name


@pytest.mark.parametrize("field", ["collected_at", "received_at"])
def test_a_pcr_result_dated_in_the_future_is_refused_with_a_sentence(api, patient, field):
    times = {"collected_at": "2026-01-02T08:00:00Z", "received_at": "2026-01-02T20:00:00Z"}
    tomorrow = (timezone.now() + timezone.timedelta(days=1)).isoformat()
    response = api.post(
        f"/api/v1/patients/{patient.pk}/lab-results/", {"result": "detected", **times, field: tomorrow}
    )
    assert response.status_code == 400
    assert "lies in the future" in response.json()["errors"][field][0]
    assert not LabResult.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "result"),
        ({"result": "positive"}, "result"),
        ({"collected_at": "2026-01-02T08:00:00"}, "collected_at"),
        ({"collected_at": "yesterday"}, "collected_at"),
        ({"received_at": "2025-12-31T08:00:00Z"}, "non_field_errors"),
        ({"ct_value": "NaN"}, "ct_value"),
        ({"ct_value": "Infinity"}, "ct_value"),
        ({"ct_value": "500"}, "ct_value"),
        ({"ct_value": "0.5"}, "ct_value"),
        ({"result": "not_detected", "ct_value": "22"}, "ct_value"),
        ({"specimen": "hair"}, "specimen"),
        ({"laboratory": "a\nb"}, "laboratory"),
        ({"laboratory": "x" * 201}, "laboratory"),
        ({"patient": "another"}, "patient"),
        ({"entered_by": 1}, "entered_by"),
        ({"loinc": "1-8"}, "loinc"),
    ],
)
def test_a_pcr_result_that_is_not_right_is_not_stored(api, patient, body, field):
    right = {"result": "detected", "collected_at": "2026-01-02T08:00:00Z"}
    response = api.post(f"/api/v1/patients/{patient.pk}/lab-results/", {**right, **body} if body else {})
    assert response.status_code == 400
    assert field in response.json()["errors"]
    assert not LabResult.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "non_field_errors"),
        ({"text": "   "}, "non_field_errors"),
        ({"text": "x" * 10_001}, "text"),
        ({"temperature_c": "99.9"}, "temperature_c"),
        ({"spo2_percent": 300}, "spo2_percent"),
        ({"spo2_percent": 10}, "spo2_percent"),
        ({"onset_date": "2999-01-01"}, "onset_date"),
        ({"text": "a", "noted_at": "2999-01-01T00:00:00Z"}, "noted_at"),
        ({"symptoms": [{"code": "49727002"}]}, "symptoms"),
        ({"symptoms": [{"code": "1", "severity": "mild"}]}, "symptoms"),
        ({"symptoms": [{"code": "49727002", "severity": "mild"}] * 2}, "symptoms"),
        ({"symptoms": [{"code": "49727002", "severity": "mild", "note": 1}]}, "symptoms"),
        ({"symptoms": "cough"}, "symptoms"),
        ({"exposure": "maybe"}, "exposure"),
        ({"text": "a", "entered_by": 1}, "entered_by"),
    ],
)
def test_a_symptom_note_that_is_not_right_is_not_stored(api, patient, body, field):
    response = api.post(f"/api/v1/patients/{patient.pk}/symptom-notes/", body)
    assert response.status_code == 400
    assert field in response.json()["errors"]
    assert not SymptomNote.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "mrn"),
        ({"mrn": "  "}, "mrn"),
        ({"mrn": "x" * 65}, "mrn"),
        ({"mrn": "N\u00001"}, "mrn"),
        ({"mrn": "N-1", "person_name": "x" * 195}, "person_name"),
        ({"mrn": "N-1", "birth_date": "1800-01-01"}, "birth_date"),
        ({"mrn": "N-1", "birth_date": "2999-01-01"}, "birth_date"),
        ({"mrn": "N-1", "sex": "female"}, "sex"),
        ({"mrn": "N-1", "id": "00000000-0000-4000-8000-000000000000"}, "id"),
        ({"mrn": "N-1", "created_at": "2020-01-01T00:00:00Z"}, "created_at"),
        ({"mrn": "MRN-1"}, "mrn"),
        ({"mrn": ["N-1"]}, "mrn"),
        ({"mrn": {"a": 1}}, "mrn"),
    ],
)
def test_a_patient_who_is_not_right_is_not_stored(api, patient, body, field):
    response = api.post("/api/v1/patients/", body)
    assert response.status_code == 400
    assert field in response.json()["errors"]
    assert Patient.objects.count() == 1


@pytest.mark.parametrize(
    "more",
    [
        {"reader": 1},
        {"signed_at": "2020-01-01T00:00:00Z"},
        {"study": "another"},
        {"label_display": "Healthy"},
    ],
)
def test_nothing_but_the_decision_can_be_set_in_a_signature(client_of, radiologist, study, prediction, more):
    body = {"decision": "confirm", "opinion_token": second_opinion(study).token, **more}
    response = client_of(radiologist).post(f"/api/v1/studies/{study.pk}/reviews/", body)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == list(more)
    assert not Review.objects.exists()


@pytest.mark.parametrize(
    "body", ["", "[]", "null", "7", '"text"', '{"mrn": NaN}', "{", "\xff", "[" * 100_000]
)
def test_json_that_is_no_object_is_answered_with_400(api, body):
    response = api.post("/api/v1/patients/", body.encode("latin-1"), content_type="application/json")
    assert response.status_code == 400
    assert set(response.json()) <= {"detail", "code", "errors"}


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_a_very_large_body_is_refused_before_it_is_read(api, patient, content_type):
    body = b'{"text": "' + b"x" * 3_000_000 + b'"}'
    response = api.post(f"/api/v1/patients/{patient.pk}/symptom-notes/", body, content_type=content_type)
    assert response.status_code == 413
    assert response.json()["code"] == "request_too_large"


def test_a_very_large_field_beside_a_file_is_refused(api, patient):
    response = upload(api, dicom(), study_description="x" * 3_000_000)
    assert response.status_code == 413


def test_a_thousand_fields_beside_a_file_are_refused(api, patient, stored_files):
    response = upload(api, dicom(), **{f"field{n}": "x" for n in range(1001)})
    assert response.status_code == 400
    assert response.json()["code"] == "too_many_fields"
    assert nothing_is_left(stored_files)


def test_a_hundred_files_are_refused(api, patient, stored_files):
    response = upload(api, *[(f"{n}.png", b"x") for n in range(101)])
    assert response.status_code == 400
    assert nothing_is_left(stored_files)


def test_a_broken_multipart_body_is_answered_with_400(api, stored_files):
    response = api.post("/api/v1/uploads/", b"--x\r\nbroken", content_type="multipart/form-data; boundary=x")
    assert response.status_code == 400
    assert nothing_is_left(stored_files)


@pytest.mark.parametrize(
    "query",
    [
        "sort=mrn",
        "mrn__startswith=M",
        "patient__mrn__startswith=M",
        "ordering=password",
        "ordering=patient__mrn",
        "ordering=created_at;DROP TABLE",
        "ordering=pg_sleep(5)",
        "status=unknown",
        "patient=1",
        "page_size=0",
        "page_size=1000",
        "page_size=x",
        "page_size=²",
        "_connector=OR",
        "format=xml",
        f"search={'x' * 201}",
    ],
)
def test_a_query_that_is_not_known_is_refused_and_not_passed_over(api, study, query):
    response = api.get(f"/api/v1/studies/?{query}")
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [query.split("=")[0]]


@pytest.mark.parametrize("search", ["' OR 1=1 --", "%", "_", "\\", "\x00", "%00", "((", "*"])
def test_no_search_finds_more_than_it_says(api, study, search):
    found = api.get("/api/v1/patients/", {"search": search})
    assert found.status_code == 200
    # A blank search is the whole list; nothing else here is part of the patient's name or number.
    assert found.json()["count"] == (1 if search == "\x00" else 0)


@pytest.mark.parametrize(
    "address", ["studies/1/", "studies/not-a-uuid/", "patients/%2e%2e/", "images/' OR 1=1/", "nothing/"]
)
def test_an_address_that_does_not_exist_is_answered_in_json(api, address):
    response = api.get(f"/api/v1/{address}")
    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


def test_nothing_of_a_refused_request_was_stored(api, patient):
    """The counterpart of the tests above: a right request of each kind is stored."""
    assert api.post(f"/api/v1/patients/{patient.pk}/symptom-notes/", {"spo2_percent": 95}).status_code == 201
    body = {"result": "detected", "collected_at": "2026-01-02T08:00:00+01:00", "ct_value": "22.4"}
    assert api.post(f"/api/v1/patients/{patient.pk}/lab-results/", body).status_code == 201
    assert (SymptomNote.objects.count(), LabResult.objects.count()) == (1, 1)
