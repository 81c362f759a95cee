"""Reading records: what an answer holds, what is found, and what goes on record."""

import datetime as dt
import io

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.test.utils import CaptureQueriesContext
from PIL import Image as PillowImage

from diagnosis.models import AuditEvent, OutboxMessage, Prediction, Study
from diagnosis.selectors.studies import second_opinion
from diagnosis.services.accounts import membership_set, system_user
from diagnosis.services.reviews import review_sign
from tests.factories import (
    ImageFactory,
    LabResultFactory,
    PatientFactory,
    PredictionFactory,
    StudyFactory,
    SymptomNoteFactory,
)

STUDIES = "/api/v1/studies/"
PATIENTS = "/api/v1/patients/"


def ids(response):
    return [row["id"] for row in response.json()["results"]]


@pytest.fixture
def sign(radiologist, study, prediction):
    return lambda: review_sign(
        actor=radiologist,
        study=study,
        decision="override",
        label="normal",
        reason="artefact",
        note="Skin fold.",
        opinion_token=second_opinion(study).token,
    )


def test_a_patient_is_shown_with_the_name_as_recorded_and_as_read(api, patient, site):
    assert api.get(f"{PATIENTS}{patient.pk}/").json() == {
        "id": str(patient.pk),
        "site": site.pk,
        "mrn": "MRN-1",
        "person_name": "Example^Ana",
        "display_name": "Example, Ana",
        "birth_date": str(patient.birth_date),
        "sex": "F",
        "created_at": api.get(f"{PATIENTS}{patient.pk}/").json()["created_at"],
    }


@pytest.mark.parametrize(
    ("search", "found"), [("ana", 1), ("MRN-1", 1), ("ana mrn-1", 1), ("ana other", 0), ("", 2)]
)
def test_patients_are_found_when_every_word_matches(api, patient, site, search, found):
    PatientFactory(site=site, person_name="Somebody^Else")
    assert api.get(PATIENTS, {"search": search}).json()["count"] == found


def test_a_study_is_shown_with_all_that_a_reader_needs(api, study, prediction, lab_result, sign):
    review = sign()
    body = api.get(f"{STUDIES}{study.pk}/").json()
    assert body["patient"]["mrn"] == "MRN-1"
    assert (body["status"], body["latest_pcr"], body["image_count"]) == ("read", "detected", 1)
    opinion = body["second_opinion"]
    assert (opinion["label"], opinion["label_display"], opinion["is_pending"]) == (
        "covid19",
        "COVID-19",
        False,
    )
    assert opinion["notice"] == "A second opinion, not a diagnosis."
    [image] = body["images"]
    shown = image["prediction"]
    assert [(score["code"], score["probability"]) for score in shown["scores"]] == [
        ("covid19", 0.81),
        ("viral_pneumonia", 0.12),
        ("normal", 0.07),
    ]
    assert shown["model_version"] == {
        "name": "covid3",
        "version": "0.0.1",
        "sha256": prediction.model_version.sha256,
    }
    [signed] = body["reviews"]
    assert (signed["decision"], signed["label"], signed["reason"], signed["note"]) == (
        "override",
        "normal",
        "artefact",
        "Skin fold.",
    )
    assert signed["reader"]["name"] == "Rafael Reader"
    assert body["review"]["id"] == str(review.pk)
    assert {"code": "non_diagnostic", "display": "Image not diagnostic"} in body["reader_labels"]


def test_an_unsure_opinion_names_its_labels_and_none_to_confirm(api, study, prediction):
    Prediction.objects.update(possible_labels=["covid19", "normal"])
    body = api.get(f"{STUDIES}{study.pk}/").json()
    named = [{"code": "covid19", "display": "COVID-19"}, {"code": "normal", "display": "Normal"}]
    opinion, shown = body["second_opinion"], body["images"][0]["prediction"]
    assert (opinion["label"], opinion["unsure"], opinion["possible_labels"]) == ("", True, named)
    assert (shown["label"], shown["unsure"], shown["possible_labels"]) == ("covid19", True, named)


def test_a_refused_image_says_why_to_a_person_and_to_a_program(api, study, image):
    PredictionFactory(image=image, refused=True)
    body = api.get(f"{STUDIES}{study.pk}/").json()
    shown = body["images"][0]["prediction"]
    assert (shown["status"], shown["refusal_code"], shown["can_run_again"]) == (
        "refused",
        "not_frontal_chest",
        False,
    )
    assert shown["reason"].startswith("This is not a frontal chest X-ray.")
    assert (shown["scores"], shown["possible_labels"], shown["unsure"]) == ([], [], False)
    opinion = body["second_opinion"]
    assert (opinion["is_refused"], opinion["label"], opinion["possible_labels"]) == (True, "", [])


def test_the_worklist_is_filtered_by_the_second_opinion(api, patient):
    def study_with(**values):
        study = StudyFactory(patient=patient)
        PredictionFactory(image=ImageFactory(study=study), **values)
        return str(study.pk)

    wanted = {
        "pending": study_with(),
        "label": study_with(done=True),
        "unsure": study_with(done=True, possible_labels=["covid19", "normal"]),
        "refused": study_with(refused=True),
        "failed": study_with(failed=True),
    }
    for state, pk in wanted.items():
        assert ids(api.get(STUDIES, {"second_opinion": state})) == [pk]
    assert api.get(STUDIES, {"second_opinion": "nonsense"}).status_code == 400


def test_a_model_is_shown_with_its_labels_and_card(api, prediction):
    version = prediction.model_version
    [listed] = api.get("/api/v1/models/").json()["results"]
    assert listed == api.get(f"/api/v1/models/{version.pk}/").json()
    assert (listed["is_active"], listed["card"]) == (True, version.card)
    assert [label["code"] for label in listed["labels"]] == ["covid19", "viral_pneumonia", "normal"]


def test_a_study_whose_analysis_waits_says_so_and_shows_no_score(api, study, image):
    PredictionFactory(image=image)
    body = api.get(f"{STUDIES}{study.pk}/").json()
    assert body["second_opinion"]["is_pending"] is True
    assert body["second_opinion"]["label"] == ""
    assert body["images"][0]["prediction"]["scores"] == []


def test_the_worklist_shows_the_newest_study_first(api, patient):
    older, newer = (StudyFactory(patient=patient) for _ in range(2))
    assert ids(api.get(STUDIES)) == [str(newer.pk), str(older.pk)]


def test_the_worklist_is_filtered_by_status_priority_and_patient(api, patient, site):
    wanted = StudyFactory(patient=patient, status="to_read", priority="stat")
    StudyFactory(patient=patient, status="read", priority="stat")
    StudyFactory(patient=patient, status="to_read")
    StudyFactory(patient=PatientFactory(site=site), status="to_read", priority="stat")
    query = {"status": "to_read", "priority": "stat", "patient": str(patient.pk)}
    assert ids(api.get(STUDIES, query)) == [str(wanted.pk)]


def test_the_worklist_can_be_ordered_by_the_time_of_the_examination(api, patient):
    first, second, third = (
        StudyFactory(patient=patient, performed_at=dt.datetime(2026, 1, day, tzinfo=dt.UTC))
        for day in (2, 3, 1)
    )
    expected = [str(study.pk) for study in (third, first, second)]
    assert ids(api.get(STUDIES, {"ordering": "performed_at"})) == expected
    assert ids(api.get(STUDIES, {"ordering": "-performed_at"})) == expected[::-1]


def test_every_study_is_on_exactly_one_page(api, patient):
    StudyFactory.create_batch(5, patient=patient, performed_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    pages = pages_of(api, {"ordering": "performed_at", "page_size": 2})
    assert [len(page) for page in pages] == [2, 2, 1]
    # Of equal times the ids decide, whatever order the database would have found the rows in.
    shown = [pk for page in pages for pk in page]
    assert shown == sorted(shown)
    assert len(set(shown)) == 5


def pages_of(api, query, link="next", address=STUDIES):
    """The ids on each page, from the first or from ``address`` on, until the link that leads on is null."""
    response = api.get(address, query)
    pages = [ids(response)]
    while address := response.json()[link]:
        response = api.get(address)
        pages.append(ids(response))
    return pages


@pytest.mark.parametrize("ordering", ["", "created_at", "-created_at", "performed_at", "-performed_at"])
def test_pages_lead_back_the_way_they_led_on_at_several_hospitals(
    client_of, doctor, site, other_site, ordering
):
    membership_set(actor=system_user(), user=doctor, site=other_site, role="doctor")
    for number in range(9):
        taken = None if number % 4 == 0 else dt.datetime(2026, 1, 1 + number % 3, tzinfo=dt.UTC)
        StudyFactory(patient=PatientFactory(site=(site, other_site)[number % 2]), performed_at=taken)
    api = client_of(doctor)
    query = {"page_size": 2} | ({"ordering": ordering} if ordering else {})
    pages = pages_of(api, query)
    assert len(pages) == 5

    def place(study):
        return (study.created_at if "created" in (ordering or "created") else study.time, study.pk)

    expected = sorted(Study.objects.all(), key=place, reverse=not ordering or ordering.startswith("-"))
    assert [pk for page in pages for pk in page] == [str(study.pk) for study in expected]
    last = api.get(STUDIES, query)
    while address := last.json()["next"]:
        last = api.get(address)
    assert pages_of(api, {}, "previous", last.json()["previous"]) == pages[-2::-1]


def test_a_study_that_comes_meanwhile_moves_no_other_to_another_page(api, patient):
    older = [str(StudyFactory(patient=patient).pk) for _ in range(4)]
    first = api.get(STUDIES, {"page_size": 2}).json()
    StudyFactory(patient=patient)
    assert ids(api.get(first["next"])) == older[1::-1]


@pytest.mark.parametrize("place", ["x", "2026-01-01T00:00:00~x", "2026-01-01T00:00:00~" + "0" * 32])
@pytest.mark.parametrize("name", ["after", "before"])
def test_a_place_that_is_none_is_refused(api, study, name, place):
    response = api.get(STUDIES, {name: place})
    assert (response.status_code, list(response.json()["errors"])) == (400, [name])


def test_nobody_counts_the_studies(api, study):
    with CaptureQueriesContext(connection) as queries:
        assert set(api.get(STUDIES).json()) == {"next", "previous", "results"}
    assert not any("COUNT(" in query["sql"] for query in queries)


def test_another_hospitals_records_are_in_no_list_and_no_count(
    client_of, outsider, study, lab_result, symptom_note
):
    client = client_of(outsider)
    for address in (STUDIES, PATIENTS):
        body = client.get(address, {"search": "Ana"}).json()
        assert (body.get("count", 0), body["results"]) == (0, [])
    assert client.get(STUDIES, {"patient": str(study.patient.pk)}).json()["results"] == []


def _three_more_of_each(patient, doctor):
    for _ in range(3):
        study = StudyFactory(patient=patient, submitted_by=doctor)
        PatientFactory(site=patient.site)
        for _ in range(2):
            PredictionFactory(image=ImageFactory(study=study), done=True)
        LabResultFactory(patient=patient, entered_by=doctor)
        SymptomNoteFactory(patient=patient, entered_by=doctor)


@pytest.mark.parametrize(
    "address",
    [
        STUDIES,
        PATIENTS,
        f"{PATIENTS}{{patient}}/lab-results/",
        f"{PATIENTS}{{patient}}/symptom-notes/",
        f"{PATIENTS}{{patient}}/timeline/",
    ],
)
def test_a_longer_list_costs_no_more_queries(
    api, doctor, patient, study, prediction, lab_result, symptom_note, sign, address
):
    sign()
    path = address.format(patient=patient.pk)
    with CaptureQueriesContext(connection) as few:
        before = api.get(path).json()
    _three_more_of_each(patient, doctor)
    with CaptureQueriesContext(connection) as many:
        after = api.get(path).json()
    assert len(str(after)) > len(str(before))
    assert len(many) == len(few)
    assert len(few) <= 20


def test_the_timeline_holds_each_record_under_its_kind_newest_first(
    api, patient, study, lab_result, symptom_note
):
    entries = api.get(f"{PATIENTS}{patient.pk}/timeline/").json()
    assert [entry["at"] for entry in entries] == sorted((entry["at"] for entry in entries), reverse=True)
    held = {
        entry["kind"]: [field for field in ("study", "lab_result", "symptom_note") if entry[field]]
        for entry in entries
    }
    assert held == {"study": ["study"], "pcr": ["lab_result"], "symptoms": ["symptom_note"]}


def test_a_pcr_result_and_a_symptom_note_are_added_and_listed(api, patient):
    lab_results, notes = f"{PATIENTS}{patient.pk}/lab-results/", f"{PATIENTS}{patient.pk}/symptom-notes/"
    added = api.post(
        lab_results,
        {
            "result": "detected",
            "collected_at": "2026-01-02T08:00:00+01:00",
            "ct_value": "22.4",
            "specimen": "saliva",
        },
    ).json()
    assert (added["collected_at"], added["ct_value"], added["loinc"]) == (
        "2026-01-02T07:00:00Z",
        "22.4",
        "94500-6",
    )
    assert api.get(lab_results).json()["results"] == [added]
    note = api.post(
        notes,
        {
            "symptoms": [
                {"code": "49727002", "severity": "mild"},
                {"code": "386661006", "severity": "severe"},
            ],
            "temperature_c": "38.7",
            "spo2_percent": 89,
        },
    ).json()
    assert {(s["display"], s["severity"]) for s in note["symptoms"]} == {
        ("Cough", "mild"),
        ("Fever", "severe"),
    }
    assert note["entered_by"]["name"] == "Dora Doctor"
    assert [row["id"] for row in api.get(notes).json()["results"]] == [note["id"]]


def test_the_original_comes_back_bit_for_bit_as_an_attachment(api, image, doctor):
    response = api.get(f"/api/v1/images/{image.pk}/original/")
    assert b"".join(response.streaming_content) == default_storage.open(image.file.name).read()
    assert response["Content-Type"] == "image/png"
    assert response["Content-Disposition"] == f'attachment; filename="image-{image.pk}.png"'
    assert "no-store" in response["Cache-Control"]
    event = AuditEvent.objects.get(action="image_downloaded")
    assert (event.actor, event.object_id) == (doctor, str(image.pk))


@pytest.mark.parametrize("accept", ["image/*", "text/html", "application/xml;q=0.9", ""])
def test_a_preview_is_a_jpeg_whatever_the_client_says_it_accepts(api, image, accept):
    response = api.get(f"/api/v1/images/{image.pk}/preview/", HTTP_ACCEPT=accept)
    assert response["Content-Type"] == "image/jpeg"
    assert b"".join(response.streaming_content)[:3] == b"\xff\xd8\xff"


def test_a_heat_map_is_a_picture_or_an_array_of_the_same_values(api, prediction):
    address = f"/api/v1/predictions/{prediction.pk}/heat-map/normal/"
    array = np.load(io.BytesIO(api.get(address, {"format": "npy"}).content), allow_pickle=False)
    assert (array.shape, array.dtype) == ((224, 224), np.float32)
    assert array.min() >= 0
    assert array.max() == 1
    picture = np.asarray(PillowImage.open(io.BytesIO(api.get(address).content)))
    assert np.abs(picture / 255 - array).max() <= 0.51 / 255
    other = api.get(f"/api/v1/predictions/{prediction.pk}/heat-map/covid19/", {"format": "npy"})
    assert not np.array_equal(np.load(io.BytesIO(other.content)), array)


def test_there_is_no_heat_map_of_an_unknown_label_or_an_unfinished_analysis(api, prediction, image):
    assert api.get(f"/api/v1/predictions/{prediction.pk}/heat-map/flu/").status_code == 404
    waiting = PredictionFactory(image=ImageFactory(study=image.study))
    response = api.get(f"/api/v1/predictions/{waiting.pk}/heat-map/covid19/")
    assert response.status_code == 409
    assert "the analysis is “waiting”" in response.json()["detail"]


def test_a_failed_analysis_is_run_again_once(api, image):
    failed = PredictionFactory(image=image, failed=True)
    address = f"/api/v1/predictions/{failed.pk}/run-again/"
    response = api.post(address)
    assert (response.status_code, response.json()["status"]) == (202, "queued")
    assert OutboxMessage.objects.count() == 1
    second = api.post(address)
    assert second.status_code == 409
    assert second.json()["code"] == "conflict"
    assert Prediction.objects.get().status == "queued"


def test_a_radiologist_signs_and_a_second_one_is_told_who_was_first(
    client_of, radiologist, second_radiologist, study, prediction
):
    address = f"{STUDIES}{study.pk}/reviews/"
    token = client_of(radiologist).get(f"{STUDIES}{study.pk}/").json()["second_opinion"]["token"]
    first = client_of(radiologist).post(address, {"decision": "confirm", "opinion_token": token})
    assert first.status_code == 201
    assert (first.json()["label"], first.json()["seen_predictions"][0]["label"]) == ("covid19", "covid19")
    body = {"decision": "override", "label": "normal", "reason": "artefact", "opinion_token": token}
    second = client_of(second_radiologist).post(address, body)
    assert second.status_code == 409
    assert "Rafael Reader signed this study first" in second.json()["detail"]
    assert [row["id"] for row in client_of(radiologist).get(address).json()["results"]] == [
        first.json()["id"]
    ]


def test_an_opinion_that_changed_meanwhile_is_not_signed(client_of, radiologist, study, prediction):
    token = second_opinion(study).token
    Prediction.objects.update(label="normal")
    body = {"decision": "confirm", "opinion_token": token}
    response = client_of(radiologist).post(f"{STUDIES}{study.pk}/reviews/", body)
    assert response.status_code == 409
    assert "changed while you were reading" in response.json()["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"decision": "override", "label": "normal"}, "reason"),
        ({"decision": "override", "label": "flu", "reason": "artefact"}, "label"),
        ({"decision": "override", "label": "normal", "reason": "other"}, "note"),
        ({"decision": "agree"}, "decision"),
        ({}, "decision"),
    ],
)
def test_a_signature_that_is_not_right_says_what_is_missing(
    client_of, radiologist, study, prediction, body, field
):
    body = {"opinion_token": second_opinion(study).token, **body}
    response = client_of(radiologist).post(f"{STUDIES}{study.pk}/reviews/", body)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]


OPENINGS = {
    "patients/{patient}/": "patient_viewed",
    "patients/{patient}/lab-results/": "patient_viewed",
    "patients/{patient}/symptom-notes/": "patient_viewed",
    "patients/{patient}/timeline/": "patient_viewed",
    "studies/{study}/": "study_viewed",
    "studies/{study}/reviews/": "study_viewed",
    "images/{image}/": "study_viewed",
    "images/{image}/preview/": "study_viewed",
    "images/{image}/original/": "image_downloaded",
    "predictions/{prediction}/": "study_viewed",
    "predictions/{prediction}/heat-map/covid19/": "study_viewed",
}


@pytest.mark.parametrize("address", OPENINGS)
def test_who_opened_a_patients_records_is_on_record_once(
    api, doctor, patient, study, image, prediction, address
):
    path = address.format(patient=patient.pk, study=study.pk, image=image.pk, prediction=prediction.pk)
    before = AuditEvent.objects.count()
    assert api.get(f"/api/v1/{path}").status_code == 200
    assert AuditEvent.objects.count() == before + 1
    event = AuditEvent.objects.first()
    assert (event.action, event.actor, event.patient) == (OPENINGS[address], doctor, patient)
    assert event.request_id


@pytest.mark.parametrize(("address", "records"), [(STUDIES, "studies"), (PATIENTS, "patients")])
def test_a_search_is_on_record_and_a_look_at_the_whole_list_is_none(api, doctor, study, address, records):
    api.get(address)
    assert not AuditEvent.objects.filter(action="records_searched").exists()
    api.get(address, {"search": " Example  Ana"})
    event = AuditEvent.objects.get(action="records_searched")
    assert (event.actor, event.details) == (doctor, {"records": records, "query": "Example Ana"})


def test_an_image_that_is_not_analysed_says_why_to_a_person_and_to_a_program(api, study, image):
    type(image).objects.filter(pk=image.pk).update(not_analysed_code="lateral")
    [shown] = api.get(f"{STUDIES}{study.pk}/").json()["images"]
    assert (shown["not_analysed_code"], shown["is_shown"], shown["prediction"]) == ("lateral", True, None)
    assert "from the side" in shown["not_analysed_reason"]
