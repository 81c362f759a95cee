"""What the study's page says of a second read, to each who looks."""

import re

import pytest
from django.urls import reverse

from diagnosis.models import CaseRules, ReportDraft, SecondRead, SecondReadOpinion, Site, Study
from diagnosis.selectors.reading import image_set_of
from tests.factories import PASSWORD, ImageFactory, ModelVersionFactory, ReviewFactory
from tests.web.conftest import HTMX
from tests.web.pages import text


@pytest.fixture
def adjudicated(patient, radiologist, second_radiologist):
    """Signed as Normal, and adjudicated to be COVID-19."""
    review = ReviewFactory(study__patient=patient, study__status="read", reader=radiologist)
    row = SecondRead.objects.create(study=review.study, review=review, cause_rank=0, state="adjudicated")
    SecondReadOpinion.objects.create(
        second_read=row, role="adjudicator", reader=second_radiologist, label="covid19",
        label_display="COVID-19", confidence="likely", note="Left base.",
    )  # fmt: skip
    return review


DIFFERS = "The adjudication differs from the signed report"


def page_of(client, study: Study) -> str:
    return text(client.get(reverse("web:study", args=[study.pk])))


def test_an_adjudication_that_differs_is_said_until_the_report_is_corrected(
    browser, radiologist, doctor, adjudicated
):
    client = browser(doctor)
    page = page_of(client, adjudicated.study)
    assert DIFFERS in page
    assert "Adjudicator, Sara Second COVID-19 (likely) Left base." in page
    ReviewFactory(
        study=adjudicated.study, reader=radiologist, follows=adjudicated, kind="correction",
        change_reason="Adjudicated.", label="covid19", label_display="COVID-19",
    )  # fmt: skip
    assert DIFFERS not in page_of(client, adjudicated.study)


def test_a_doctor_asks_for_a_second_reader_on_the_page(browser, doctor, radiologist, patient):
    review = ReviewFactory(study__patient=patient, study__status="read", reader=radiologist)
    client = browser(doctor)
    assert "Ask for a second reader" in page_of(client, review.study)
    address = reverse("web:second_read_request", args=[review.study_id])
    response = client.post(address, {"note": "Left base?"}, headers=HTMX)
    assert response["HX-Redirect"] == reverse("web:study", args=[review.study_id])
    assert "Asked for by Dora Doctor: Left base?" in page_of(client, review.study)


def test_a_possible_second_reader_finds_neither_read_nor_reason_on_the_page(
    browser, doctor, second_radiologist, patient
):
    review = ReviewFactory(study__patient=patient, study__status="read", note="Clear lungs.")
    browser(doctor).post(
        reverse("web:second_read_request", args=[review.study_id]), {"note": "Left base?"}, headers=HTMX
    )
    client = browser(second_radiologist)
    page = page_of(client, review.study)
    assert "the first read is hidden from you" in page
    for secret in ("Clear lungs.", "Left base?", "Dora Doctor:"):
        assert secret not in page
    client.post(reverse("web:second_read_waive", args=[review.study_id]))
    assert "Clear lungs." in page_of(client, review.study)


def test_an_administrator_finds_the_share_that_is_drawn_at_random_and_where_it_is_set(
    browser, admin, radiologist, site
):
    address = reverse("web:second_reads")
    page = browser(admin).get(address)
    assert "Drawn at random" in text(page)
    assert "Saint Example None: no share is set." in text(page)
    assert f"{reverse('admin:diagnosis_caserules_add')}?site={site.pk}" in page.content.decode()
    CaseRules.objects.create(site=site, second_read_share_percent=5)
    page = browser(admin).get(address)
    assert "Saint Example 5 % of the signed studies" in text(page)
    assert reverse("admin:diagnosis_caserules_change", args=[site.pk]) in page.content.decode()
    assert "Drawn at random" not in text(browser(radiologist).get(address))


def test_the_second_reader_finds_what_was_chosen_the_report_and_the_password(
    browser, radiologist, second_radiologist, patient
):
    review = ReviewFactory(study__patient=patient, study__status="read", reader=radiologist)
    image = ImageFactory(study=review.study)
    ModelVersionFactory()
    Site.objects.update(signing_asks_password=True)
    SecondRead.objects.create(study=review.study, review=review, cause_rank=0, state="waiting")
    client = browser(second_radiologist)
    row = SecondRead.objects.get()
    client.post(reverse("web:second_read_take", args=[row.pk]))
    client.post(
        reverse("web:report_draft", args=[review.study_id]),
        {"author": second_radiologist.pk, "kind": "signed", "draft_version": 0, "label": "normal",
         "confidence": "likely", "findings": "Clear."},
    )  # fmt: skip
    page = client.get(reverse("web:study", args=[review.study_id])).content.decode()
    assert re.search(r'name="label" value="normal"[^>]* checked', page)
    assert re.search(r'name="confidence" value="likely"[^>]* checked', page)
    assert ">Clear.</textarea>" in page
    sent = {"label": "normal", "confidence": "likely", "image_set": image_set_of([image])}
    refused = client.post(reverse("web:second_read_sign", args=[row.pk]), sent, headers=HTMX)
    assert refused.status_code == 422
    assert "Enter your password to sign" in text(refused)
    # Without a script the report stands in a form of its own: what was saved of it is signed.
    client.post(
        reverse("web:second_read_sign", args=[row.pk]), {**sent, "signing_password": PASSWORD}, headers=HTMX
    )
    assert SecondReadOpinion.objects.values_list("label", "findings").get() == ("normal", "Clear.")
    assert not ReportDraft.objects.exists()
