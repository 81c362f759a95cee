"""The label set is data: a model of four labels is registered, served and read beside opinions of one with three."""

import shutil

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.urls import reverse

from diagnosis import inference
from diagnosis.models import ModelPicture, ModelVersion, Prediction
from diagnosis.selectors.studies import second_opinion
from diagnosis.services.analysis import analysis_run
from diagnosis.services.predictions import prediction_request
from diagnosis.services.tokens import token_issue
from ml.phantom import phantom_png
from tests.factories import ImageFactory
from tests.ml.tiny_model import FOUR_LABELS, name_all_files, png, write_tiny_model
from tests.web.conftest import HTMX
from tests.web.pages import html, text


@pytest.fixture
def serve(db, settings):
    """Makes the portal serve the model of a folder, as CXR_MODEL_DIR does when the processes start."""

    def switch(folder):
        settings.CXR_MODEL_DIR = folder
        inference.served_model.cache_clear()
        call_command("register_model", verbosity=0)
        return ModelVersion.objects.get(is_active=True)

    yield switch
    inference.served_model.cache_clear()


@pytest.fixture
def unsure_folder(tmp_path):
    """Its rule holds every label possible, so that it is always unsure between all four."""
    conformal = {"alpha": 0.05, "thresholds": dict.fromkeys(FOUR_LABELS, 0.0)}
    return write_tiny_model(tmp_path / "tiny4-0.1.0", FOUR_LABELS, card={"conformal": conformal})


@pytest.fixture
def analysed(serve, unsure_folder, study, doctor):
    """A study with an opinion of a three-label model on its first image, and one of the four-label model on its second."""
    serve(unsure_folder)
    chest = default_storage.save("originals/chest", ContentFile(phantom_png(4, rows=256, columns=240)))
    image = ImageFactory(study=study, file=chest)
    prediction = prediction_request(actor=doctor, image=image)
    analysis_run(prediction_id=str(prediction.pk))
    return Prediction.objects.get(pk=prediction.pk)


def test_an_opinion_of_four_labels_stands_beside_one_of_three(browser, radiologist, study, analysed):
    assert (analysed.status, analysed.reason) == ("done", "")
    assert list(analysed.probabilities) == list(FOUR_LABELS)
    page = browser(radiologist).get(reverse("web:study", args=[study.pk]))
    words = text(page)
    for name in FOUR_LABELS.values():
        assert name in words
    assert "Unsure: COVID-19, Viral Pneumonia, Bacterial Pneumonia or Normal" in words
    for version in ("covid3 0.0.1", "tiny4 0.1.0"):
        assert version in words
    assert html(page).count('value="bacterial_pneumonia"') == 1  # One choice of the reader's form.
    assert "Images differ" in text(browser(radiologist).get(reverse("web:home")))


def test_a_reader_signs_a_label_that_only_the_new_model_knows(browser, radiologist, study, analysed):
    sent = {
        "decision": "decide",
        "label": "bacterial_pneumonia",
        "opinion_token": second_opinion(type(study).objects.get(pk=study.pk)).token,
    }
    response = browser(radiologist).post(reverse("web:review", args=[study.pk]), sent, headers=HTMX)
    assert response.status_code == 200
    assert "Bacterial Pneumonia Decided where the second opinion named several labels" in text(response)


def test_the_heat_map_of_every_label_is_painted(browser, doctor, analysed):
    for code in FOUR_LABELS:
        response = browser(doctor).get(reverse("web:heat_map", args=[analysed.pk, code]))
        assert response["Content-Type"] == "image/png"


def test_the_api_names_the_four_labels(browser, client, doctor, study, analysed):
    token = f"Token {token_issue(user=doctor).secret}"
    body = client.get(f"/api/v1/studies/{study.pk}/", headers={"Authorization": token}).json()
    second = next(image for image in body["images"] if image["id"] == str(analysed.image_id))["prediction"]
    assert [score["code"] for score in second["scores"]] == list(FOUR_LABELS)
    assert [label["code"] for label in second["possible_labels"]] == list(FOUR_LABELS)
    assert "bacterial_pneumonia" in {label["code"] for label in body["reader_labels"]}


# The card on record


def test_the_pictures_on_record_stay_when_the_folder_is_replaced(browser, doctor, serve, unsure_folder):
    version = serve(unsure_folder)
    address = reverse("web:model_picture", args=[version.pk, "confusion"])
    shutil.rmtree(unsure_folder)
    write_tiny_model(unsure_folder, FOUR_LABELS, version="0.2.0")
    (unsure_folder / "plots" / "confusion.png").write_bytes(png(10))
    assert browser(doctor).get(address).content == png(90)
    page = browser(doctor).get(reverse("web:model", args=[version.pk]))
    assert address in html(page)
    assert "Random weights: it knows nothing." in text(page)


def test_a_model_that_was_registered_without_pictures_gets_them_when_it_is_registered_again(
    serve, unsure_folder
):
    version = serve(unsure_folder)
    ModelPicture.objects.all().delete()
    assert serve(unsure_folder) == version
    assert version.pictures.get().name == "confusion"


@pytest.mark.parametrize("name", ["Confusion", "..", "a.b", "x" * 65])
def test_a_picture_whose_name_could_lead_astray_is_not_registered(serve, unsure_folder, name):
    (unsure_folder / "plots" / f"{name}.png").write_bytes(png(1))
    name_all_files(unsure_folder)
    with pytest.raises(CommandError, match="lower-case letters"):
        serve(unsure_folder)
    assert not ModelVersion.objects.exists()


def test_a_picture_that_is_none_is_not_registered(serve, unsure_folder):
    (unsure_folder / "plots" / "confusion.png").write_bytes(b"<svg onload=alert(1)>")
    name_all_files(unsure_folder)
    with pytest.raises(CommandError, match="is not the PNG that the card names"):
        serve(unsure_folder)


def test_an_altered_folder_is_not_registered(serve, unsure_folder):
    (unsure_folder / "plots" / "confusion.png").write_bytes(png(1))
    with pytest.raises(CommandError, match="is not the file that the card describes"):
        serve(unsure_folder)
