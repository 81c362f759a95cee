"""The study page: what the network says, how it changes by itself, and the pictures behind it."""

import io
import re

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from PIL import Image as PillowImage

from diagnosis.models import AuditEvent, Image, ModelVersion, Prediction
from tests.factories import (
    ImageFactory,
    LabResultFactory,
    ModelVersionFactory,
    PatientFactory,
    PredictionFactory,
    StudyFactory,
    SymptomNoteFactory,
)
from tests.web.conftest import HTMX
from tests.web.pages import html, text

POLL = {**HTMX, "X-Poll": "1"}


def page_of(study):
    return reverse("web:study", args=[study.pk])


def live_of(study):
    return reverse("web:study_live", args=[study.pk])


def with_prediction(patient, **values):
    prediction = PredictionFactory(image=ImageFactory(study__patient=patient), **values)
    return prediction.image.study, prediction


@pytest.mark.parametrize("role", ["doctor", "radiologist", "admin"])
def test_everybody_of_the_hospital_sees_scores_model_and_caveat(browser, study, request, role):
    page = text(browser(request.getfixturevalue(role)).get(page_of(study)))
    for words in (
        "Example, Ana",
        "Second opinion, not a diagnosis.",
        "COVID-19 0.81",
        "Viral Pneumonia 0.12",
        "Normal 0.07",
        "covid3 0.0.1",
        "Show where the network looked",
    ):
        assert words in page


def test_an_outsider_gets_404_on_the_page_and_its_fragment(browser, outsider, study):
    assert browser(outsider).get(page_of(study)).status_code == 404
    assert browser(outsider).get(live_of(study), headers=POLL).status_code == 404


def test_opening_a_study_is_on_record_once_and_a_refresh_is_not(browser, doctor, study):
    client = browser(doctor)
    client.get(page_of(study))
    client.get(live_of(study), headers=POLL)
    event = AuditEvent.objects.get(action="study_viewed")
    assert (event.actor, event.patient, event.object_id) == (doctor, study.patient, str(study.pk))


def test_what_the_model_cannot_do_stands_beside_its_opinion(browser, doctor, study):
    version = ModelVersion.objects.get()
    version.card["limits"] = ["It has seen no <b>children</b>.", "It knows three classes."]
    version.save()
    page = browser(doctor).get(page_of(study))
    assert "It has seen no <b>children</b>. More limits of covid3 0.0.1 It knows three classes." in text(page)
    assert "<b>children" not in html(page)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"status": "queued"}, "Waiting The scores appear here by themselves"),
        ({"status": "running"}, "Running The scores appear here by themselves"),
        ({"failed": True}, "Failed The analysis took too long and was stopped. Run again"),
        ({"status": "refused", "reason": "This is no chest."}, "Refused This is no chest."),
    ],
)
def test_the_page_says_how_far_the_analysis_is(browser, doctor, patient, values, words):
    study, _ = with_prediction(patient, **values)
    assert words in text(browser(doctor).get(page_of(study)))


def test_a_refused_image_is_opened_read_and_never_offered_to_the_same_model_again(
    browser, radiologist, patient
):
    study, prediction = with_prediction(patient, refused=True)
    type(study).objects.update(status="to_read")
    page = browser(radiologist).get(page_of(study))
    said = text(page)
    for words in (
        "Refused This is not a frontal chest X-ray. Send the frontal image of the study.",
        "There is no second opinion on this image, and this model is not asked about it again.",
        "read it without one",
        "Read without a second opinion",
    ):
        assert words in said
    assert "Run again" not in said
    assert "Show where the network looked" not in said
    assert reverse("web:preview", args=[prediction.image.pk]) in html(page)
    assert 'id="own-reading" open' in html(page)
    assert run_again(browser(radiologist), prediction).status_code == 409


def test_once_another_model_is_active_it_may_be_asked_about_a_refused_image(browser, doctor, patient):
    _, prediction = with_prediction(patient, refused=True)
    ModelVersion.objects.update(is_active=False)
    newer = ModelVersionFactory(name="covid4")
    study = prediction.image.study
    assert "Ask the model that is active now" in text(browser(doctor).get(page_of(study)))
    assert "Waiting" in text(run_again(browser(doctor), prediction, headers=HTMX))
    asked = Prediction.objects.get(model_version=newer)
    assert (asked.image, asked.status) == (prediction.image, "queued")


def test_an_unsure_opinion_names_its_labels_first_and_its_scores_beside(browser, doctor, study, prediction):
    Prediction.objects.update(possible_labels=["covid19", "viral_pneumonia", "normal"])
    said = text(browser(doctor).get(page_of(study)))
    assert "Unsure: COVID-19, Viral Pneumonia or Normal The model cannot rule out any of these labels" in said
    assert "COVID-19 0.81 Viral Pneumonia 0.12 Normal 0.07" in said


def test_without_a_model_the_page_says_to_read_without_one(browser, doctor, patient):
    study = ImageFactory(study__patient=patient).study
    assert "Read the image without one" in text(browser(doctor).get(page_of(study)))


def test_different_labels_for_two_images_are_said(browser, doctor, study):
    PredictionFactory(image=ImageFactory(study=study), done=True, label="normal")
    page = text(browser(doctor).get(page_of(study)))
    assert "The images of this study get different opinions" in page
    assert "Image 1" in page
    assert "Image 2" in page


def test_the_page_asks_every_second_while_the_analysis_runs_and_slower_until_it_is_read(
    browser, doctor, patient, study
):
    pending, prediction = with_prediction(patient)
    client = browser(doctor)
    assert "every 1s" in html(client.get(page_of(pending)))
    assert "every 1s" in html(client.get(live_of(pending), headers=POLL))
    long_ago = prediction.queued_at.replace(year=2020)
    Prediction.objects.filter(pk=prediction.pk).update(queued_at=long_ago)
    assert "every 5s" in html(client.get(live_of(pending), headers=POLL))
    assert "every 5s" in html(client.get(live_of(study), headers=POLL))


def test_the_page_asks_seldom_once_the_study_is_read(browser, doctor, study):
    type(study).objects.update(status="read")
    fragment = html(browser(doctor).get(live_of(study), headers=POLL))
    assert re.findall(r'hx-trigger="(.*?)"', fragment)[:1] == [
        "every 30s, study-changed from:body, timeline-changed from:body"
    ]
    assert fragment.count("every ") == 1


def test_the_fragment_shows_the_result_as_soon_as_it_is_there(browser, doctor, patient):
    study, prediction = with_prediction(patient)
    client = browser(doctor)
    assert "0.81" not in text(client.get(live_of(study), headers=POLL))
    done = PredictionFactory.build(done=True, image=prediction.image)
    Prediction.objects.filter(pk=prediction.pk).update(
        status="done",
        label="covid19",
        possible_labels=["covid19"],
        probabilities=done.probabilities,
        activation_maps=done.activation_maps,
    )
    assert "COVID-19 0.81" in text(client.get(live_of(study), headers=POLL))


def run_again(client, prediction, **options):
    return client.post(reverse("web:run_again", args=[prediction.pk]), **options)


@pytest.mark.parametrize("role", ["doctor", "radiologist", "admin"])
def test_a_failed_analysis_is_run_again_by_a_button(browser, patient, request, role):
    _, prediction = with_prediction(patient, failed=True)
    client = browser(request.getfixturevalue(role))
    response = run_again(client, prediction, headers=HTMX)
    assert "Waiting The scores appear here" in text(response)
    prediction.refresh_from_db()
    assert prediction.status == "queued"


def test_without_a_script_the_button_comes_back_to_the_page(browser, doctor, patient):
    study, prediction = with_prediction(patient, failed=True)
    assert run_again(browser(doctor), prediction)["Location"] == page_of(study)


def test_what_runs_already_is_not_run_again_and_the_answer_says_why(browser, doctor, prediction):
    response = run_again(browser(doctor), prediction, headers=HTMX)
    assert response.status_code == 409
    assert response["X-Error-Page"] == "1"
    assert "that is not possible now" in text(response)


def test_an_outsider_runs_nothing(browser, outsider, patient):
    _, prediction = with_prediction(patient, failed=True)
    assert run_again(browser(outsider), prediction).status_code == 404


def test_a_second_image_is_shown_by_its_own_address_without_a_script(browser, doctor, study, image):
    second = ImageFactory(study=study)
    response = browser(doctor).get(page_of(study), {"image": str(second.pk)})
    assert response.context["shown"].image == second
    for nonsense in ("x", str(ImageFactory().pk)):
        response = browser(doctor).get(page_of(study), {"image": nonsense})
        assert response.context["shown"].image == image


def test_the_timeline_stands_beside_the_image(browser, doctor, study, patient):
    LabResultFactory(patient=patient, ct_value="24.5", laboratory="<i>Lab</i>")
    SymptomNoteFactory(patient=patient, text="Dry cough.", temperature_c="38.5", spo2_percent=91)
    page = browser(doctor).get(page_of(study))
    for words in ("PCR Detected", "Ct 24.5", "<i>Lab</i>", "Dry cough.", "38.5 °C · SpO₂ 91 %", "This X-ray"):
        assert words in text(page)
    assert "<i>Lab" not in html(page)


def test_more_images_take_no_more_queries(browser, doctor, patient):
    def study_with(count):
        study = StudyFactory(patient=PatientFactory(site=patient.site))
        for _ in range(count):
            PredictionFactory(image=ImageFactory(study=study), done=True)
        return study

    client = browser(doctor)
    client.get(page_of(study_with(1)))
    counts = []
    for count in (1, 4):
        study = study_with(count)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(live_of(study), headers=POLL).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


# The pictures


@pytest.mark.parametrize("name", ["preview", "thumbnail"])
def test_pictures_are_streamed_as_jpeg_and_cached_nowhere(browser, doctor, image, name):
    response = browser(doctor).get(reverse(f"web:{name}", args=[image.pk]))
    content = b"".join(response.streaming_content)
    assert content == default_storage.open(image.preview.name).read()
    assert response["Content-Type"] == "image/jpeg"
    assert {"no-store", "private"} <= set(response["Cache-Control"].split(", "))


@pytest.mark.parametrize(
    ("kind", "content_type", "ending"),
    [("dicom", "application/dicom", "dcm"), ("png", "image/png", "png"), ("jpeg", "image/jpeg", "jpg")],
)
def test_an_original_is_a_download_with_a_name_of_ours_and_on_record(
    browser, doctor, image, kind, content_type, ending
):
    Image.objects.update(kind=kind, original_name='Müller^Hans"; evil.html')
    response = browser(doctor).get(reverse("web:original", args=[image.pk]))
    assert response["Content-Type"] == content_type
    assert response["Content-Disposition"] == f'attachment; filename="image-{image.pk}.{ending}"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert b"".join(response.streaming_content) == default_storage.open(image.file.name).read()
    event = AuditEvent.objects.get(action="image_downloaded")
    assert (event.actor, event.patient, event.object_id) == (doctor, image.study.patient, str(image.pk))


def test_a_picture_that_is_missing_is_not_found_and_not_a_crash(browser, doctor, image):
    default_storage.delete(image.file.name)
    for name in ("preview", "thumbnail", "original"):
        assert browser(doctor).get(reverse(f"web:{name}", args=[image.pk])).status_code == 404
    assert not AuditEvent.objects.filter(action="image_downloaded").exists()


def heat_map(client, prediction, label="covid19"):
    return client.get(reverse("web:heat_map", args=[prediction.pk, label]))


def test_the_heat_map_has_the_shape_of_the_image(browser, doctor, prediction):
    Image.objects.update(rows=2500, columns=2000)
    response = heat_map(browser(doctor), prediction)
    picture = PillowImage.open(io.BytesIO(response.content))
    assert (response["Content-Type"], picture.mode, picture.size) == ("image/png", "RGBA", (410, 512))
    assert np.asarray(picture)[..., 3].max() == 255


def test_each_label_has_a_map_of_its_own(browser, doctor, prediction):
    client = browser(doctor)
    maps = {heat_map(client, prediction, label).content for label in ("covid19", "viral_pneumonia", "normal")}
    assert len(maps) == 3


def test_there_is_no_map_for_an_unknown_label_or_an_unfinished_analysis(browser, doctor, prediction, patient):
    assert heat_map(browser(doctor), prediction, "measles").status_code == 404
    _, pending = with_prediction(patient)
    assert heat_map(browser(doctor), pending).status_code == 409


def test_an_outsider_sees_no_picture_of_another_hospital(browser, outsider, image, prediction):
    client = browser(outsider)
    for name in ("preview", "thumbnail", "original"):
        assert client.get(reverse(f"web:{name}", args=[image.pk])).status_code == 404
    assert heat_map(client, prediction).status_code == 404


def test_a_page_offers_no_second_opinion_of_an_inactive_model_twice(browser, doctor, study, image):
    """A newer model's word on the same image stands in place of the older one's."""
    newer = ModelVersionFactory(name="covid3", version="0.0.2", is_active=False)
    PredictionFactory(image=image, model_version=newer, done=True, label="normal")
    page = text(browser(doctor).get(page_of(study)))
    assert "covid3 0.0.2" in page
    assert "covid3 0.0.1" not in page


def not_analysed(patient, code, **values):
    image = ImageFactory(study__patient=patient, study__status="to_read", not_analysed_code=code, **values)
    return image.study, image


def test_an_image_that_is_not_analysed_says_why_and_can_be_read_unaided(browser, radiologist, patient):
    study, image = not_analysed(patient, "lateral")
    page = browser(radiologist).get(page_of(study))
    said = text(page)
    assert "Not analysed This is a chest from the side" in said
    assert "no model is active" not in said
    assert "Read without a second opinion" in said
    assert reverse("web:preview", args=[image.pk]) in html(page)


def test_what_cannot_be_shown_is_named_and_offered_for_download_beside_the_images(browser, doctor, patient):
    study, report = not_analysed(
        patient, "structured_report", preview="", thumbnail="", rows=None, columns=None
    )
    shown = PredictionFactory(image=ImageFactory(study=study), done=True).image
    page = browser(doctor).get(page_of(study))
    assert "This is a structured report, not a picture." in text(page)
    assert "Image 1: A report, not a picture" in text(page)
    assert reverse("web:original", args=[report.pk]) in html(page)
    assert reverse("web:preview", args=[report.pk]) not in html(page)
    assert reverse("web:preview", args=[shown.pk]) in html(page)
    for name in ("web:preview", "web:thumbnail"):
        assert browser(doctor).get(reverse(name, args=[report.pk])).status_code == 404


def test_a_study_of_nothing_to_show_says_so(browser, doctor, patient):
    study, _ = not_analysed(patient, "no_picture", preview="", thumbnail="", rows=None, columns=None)
    assert "This study holds nothing that can be shown here." in text(browser(doctor).get(page_of(study)))
    assert browser(doctor).get(reverse("web:home")).status_code == 200
