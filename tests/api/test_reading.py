"""Programs lock a first read, are shown the second opinion and sign, by the same rules as people."""

from __future__ import annotations

import pytest

from diagnosis.models import FirstRead
from tests.factories import ImageFactory, PatientFactory, PredictionFactory, StudyFactory


@pytest.fixture
def site(site):
    site.reading_protocol = "read-first"
    site.save()
    return site


@pytest.fixture
def study(site, doctor):
    study = StudyFactory(patient=PatientFactory(site=site), submitted_by=doctor, status="to_read")
    PredictionFactory(image=ImageFactory(study=study), done=True)
    return study


@pytest.fixture
def reader(client_of, radiologist):
    return client_of(radiologist)


@pytest.fixture
def path(study):
    return f"/api/v1/studies/{study.pk}/"


def own_read(client, path, **changes):
    shown = client.get(path).json()
    values = {"label": "normal", "confidence": "likely", "image_set": shown["reading"]["image_set"]}
    return client.post(f"{path}first-read/", {**values, **changes})


def test_before_the_lock_a_program_is_told_where_it_stands_and_nothing_of_the_network(reader, path):
    body = reader.get(path).json()
    opinion, reading = body["second_opinion"], body["reading"]
    assert (opinion["is_hidden"], opinion["label"], opinion["token"]) == (True, "", "")
    assert [image["prediction"] for image in body["images"]] == [None]
    assert (reading["protocol"], reading["awaits_first_read"], reading["first_read"]) == (
        "read-first",
        True,
        None,
    )


def test_the_answer_to_a_lock_holds_the_opinion(reader, path):
    response = own_read(reader, path)
    assert response.status_code == 201
    body = response.json()
    assert (body["second_opinion"]["label"], body["second_opinion"]["is_hidden"]) == ("covid19", False)
    first_read = body["reading"]["first_read"]
    assert (first_read["label"], first_read["confidence"]) == ("normal", "likely")
    assert first_read["revealed_at"] >= first_read["locked_at"]


def test_a_read_is_signed_after_the_lock_and_names_it(reader, path):
    assert (
        reader.post(
            f"{path}reviews/", {"decision": "unaided", "label": "normal", "opinion_token": ""}
        ).status_code
        == 400
    )
    token = own_read(reader, path).json()["second_opinion"]["token"]
    sent = {"decision": "override", "label": "normal", "reason": "chronic", "opinion_token": token}
    signed = reader.post(f"{path}reviews/", sent)
    assert signed.status_code == 201
    assert signed.json()["first_read"]["label"] == "normal"
    assert signed.json()["protocol"] == "read-first"
    assert signed.json()["seen_predictions"][0]["label"] == "covid19"


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"label": "measles"}, "label"), ({"confidence": "5"}, "confidence"), ({"note": "x"}, "note")],
)
def test_what_is_wrong_with_a_lock_is_said_by_field(reader, path, changes, field):
    response = own_read(reader, path, **changes)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]
    assert not FirstRead.objects.exists()


def test_a_second_lock_and_one_of_other_images_are_conflicts(reader, path, study):
    assert own_read(reader, path, image_set="0" * 64).status_code == 409
    assert own_read(reader, path).status_code == 201
    again = own_read(reader, path)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


def test_a_reveal_waits_for_the_lock_and_for_the_opinion(reader, path, study):
    assert reader.post(f"{path}reveal/").status_code == 400
    PredictionFactory(image=ImageFactory(study=study))
    body = own_read(reader, path).json()
    assert (body["reading"]["awaits_reveal"], body["second_opinion"]["is_hidden"]) == (True, True)
    assert reader.post(f"{path}reveal/").status_code == 409


def test_a_hidden_prediction_is_answered_like_one_that_does_not_exist(reader, path, study):
    prediction = study.images.get().predictions.get()
    for address in (
        f"/api/v1/predictions/{prediction.pk}/",
        f"/api/v1/predictions/{prediction.pk}/heat-map/covid19/",
    ):
        assert reader.get(address).status_code == 404
    assert reader.post(f"/api/v1/predictions/{prediction.pk}/run-again/").status_code == 404
    own_read(reader, path)
    assert reader.get(f"/api/v1/predictions/{prediction.pk}/").status_code == 200
