"""A radiologist decides; everybody sees it; what was typed is never lost."""

import pytest
from django.urls import reverse

from diagnosis.models import AuditEvent, Prediction, Review
from diagnosis.selectors.studies import second_opinion
from tests.factories import ImageFactory, PredictionFactory
from tests.web.conftest import HTMX
from tests.web.pages import filled_in, html, text

TYPED = {"label": "normal", "reason": "positioning", "note": "Rotated <to the left>."}


def review_of(study):
    return reverse("web:review", args=[study.pk])


def page_of(study):
    return reverse("web:study", args=[study.pk])


def decide(client, study, decision, **values):
    """Sign what is on screen now, as the page's own form would."""
    values.setdefault("opinion_token", second_opinion(study).token)
    return client.post(review_of(study), {"decision": decision, **values}, headers=HTMX)


def test_the_form_on_the_page_names_exactly_the_opinion_on_screen(browser, radiologist, study):
    sent = filled_in(browser(radiologist).get(page_of(study)))
    assert sent["decision"] == ["confirm", "override"]
    assert set(sent["opinion_token"]) == {second_opinion(study).token}


def test_one_click_confirms(browser, radiologist, study):
    response = decide(browser(radiologist), study, "confirm")
    assert response.status_code == 200
    assert "study-changed" in response["HX-Trigger"]
    said = text(response)
    assert "COVID-19 Confirmed the second opinion Signed by Rafael Reader" in said
    assert "Confirm:" not in said
    assert Review.objects.get().decision == "confirm"


def test_an_override_shows_label_reason_and_note(browser, radiologist, study):
    response = decide(browser(radiologist), study, "override", **TYPED)
    assert "Normal Overrode the second opinion Why: Positioning or rotation Rotated <to the left>." in text(
        response
    )
    assert "<to the left>" not in html(response)


def test_the_doctor_and_the_administrator_see_the_decision(browser, radiologist, doctor, admin, study):
    decide(browser(radiologist), study, "override", **TYPED)
    for person in (doctor, admin):
        page = text(browser(person).get(reverse("web:study_live", args=[study.pk]), headers=HTMX))
        assert "Signed by Rafael Reader" in page
        assert "Rotated" in page
        assert "Override" not in page


def test_those_who_may_not_sign_see_that_it_is_not_read_yet_and_no_form(browser, doctor, admin, study):
    for person in (doctor, admin):
        page = browser(person).get(page_of(study))
        assert "Not read yet. The decision of the radiologist appears here by itself." in text(page)
        assert review_of(study) not in html(page)


@pytest.mark.parametrize("role", ["doctor", "admin"])
def test_who_may_not_sign_is_told_so_and_the_try_is_on_record(browser, study, request, role):
    person = request.getfixturevalue(role)
    response = decide(browser(person), study, "confirm")
    assert response.status_code == 403
    assert "does not allow you to sign a read" in text(response)
    assert AuditEvent.objects.get(action="access_denied").actor == person
    assert not Review.objects.exists()


def test_an_outsider_does_not_even_learn_that_the_study_exists(browser, outsider, study):
    assert decide(browser(outsider), study, "confirm").status_code == 404


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"label": ""}, "Choose a label from the list."),
        ({"label": "measles"}, "Choose a label from the list."),
        ({"label": "covid19"}, "own label. Press “Confirm”"),
        ({"reason": ""}, "Choose why you override"),
        ({"reason": "other", "note": " "}, "Write in the note what you found."),
        ({"note": "x" * 10_001}, "at most 10000 characters"),
    ],
)
def test_what_is_missing_is_said_and_what_was_typed_stays(browser, radiologist, study, changes, sentence):
    response = decide(browser(radiologist), study, "override", **{**TYPED, **changes})
    assert response.status_code == 422
    assert sentence in text(response)
    if "note" not in changes:
        assert "Rotated &lt;to the left&gt;." in html(response)
    if changes.get("label") is None:
        assert "normal" in filled_in(response)["label"]
    assert "<details" in html(response)
    assert 'id="own-reading" open' in html(response)
    assert not Review.objects.exists()


def test_who_comes_too_late_sees_the_first_decision_and_keeps_the_note(
    browser, radiologist, second_radiologist, study
):
    late = browser(second_radiologist)
    token = second_opinion(study).token
    decide(browser(radiologist), study, "confirm")
    response = decide(late, study, "override", opinion_token=token, **TYPED)
    assert response.status_code == 409
    said = text(response)
    assert "Rafael Reader signed this study first" in said
    assert "Signed by Rafael Reader" in said
    assert "What you had entered, not signed" in said
    assert "Reason: Positioning or rotation Note: Rotated <to the left>." in said
    assert Review.objects.get().reader == radiologist


def test_an_opinion_that_changed_meanwhile_is_not_confirmed_unseen(browser, radiologist, study, prediction):
    token = second_opinion(study).token
    Prediction.objects.filter(pk=prediction.pk).update(label="normal", possible_labels=["normal"])
    response = decide(browser(radiologist), study, "override", opinion_token=token, **TYPED)
    assert response.status_code == 409
    assert "The second opinion changed while you were reading. Nothing was signed" in text(response)
    assert "Rotated &lt;to the left&gt;." in html(response)
    # The next signature is for what is on screen now.
    study = type(study).objects.get(pk=study.pk)
    assert set(filled_in(response)["opinion_token"]) == {second_opinion(study).token}
    assert "Confirm: Normal" in text(response)
    assert not Review.objects.exists()


def test_without_a_second_opinion_the_study_is_read_without_one(browser, radiologist, patient):
    study = PredictionFactory(
        image=ImageFactory(study__patient=patient, study__status="to_read"), failed=True
    ).image.study
    page = browser(radiologist).get(page_of(study))
    assert "Read without a second opinion" in text(page)
    assert 'id="own-reading" open' in html(page)
    assert "Confirm:" not in text(page)
    response = decide(browser(radiologist), study, "unaided", label="normal")
    assert "Normal Read without a second opinion Signed by Rafael Reader" in text(response)


def test_while_an_image_is_still_analysed_there_is_nothing_to_confirm(browser, radiologist, study):
    PredictionFactory(image=ImageFactory(study=study))
    page = browser(radiologist).get(page_of(study))
    assert "Confirm:" not in text(page)
    assert "You need not wait for it." in text(page)


def test_without_a_script_a_signature_comes_back_to_the_page(browser, radiologist, study):
    client = browser(radiologist)
    sent = {"decision": "override", "opinion_token": second_opinion(study).token, **TYPED}
    missing = client.post(review_of(study), {**sent, "reason": ""})
    assert missing.status_code == 422
    assert "Choose why you override" in text(missing)
    assert "data-viewer" in html(missing)
    response = client.post(review_of(study), sent)
    assert (response.status_code, response["Location"]) == (302, page_of(study))


def test_an_earlier_read_stays_on_the_page_when_images_were_added(browser, radiologist, study):
    decide(browser(radiologist), study, "confirm")
    PredictionFactory(image=ImageFactory(study=study), done=True)
    type(study).objects.update(status="to_read")
    page = text(browser(radiologist).get(page_of(study)))
    assert "Earlier reads of this study (1)" in page
    assert "Signed by Rafael Reader" in page
    assert "Confirm: COVID-19" in page


def test_confirming_weighs_no_more_on_the_page_than_overriding(browser, radiologist, study):
    """An invitation to agree drags readers along with a wrong network."""
    page = html(browser(radiologist).get(page_of(study)))
    assert '<button class="button button-wide" type="submit"><svg' in page
    assert '<summary class="button button-wide"><svg' in page


@pytest.fixture
def unsure_study(study):
    Prediction.objects.update(possible_labels=["covid19", "normal"])
    return type(study).objects.get(pk=study.pk)


def test_an_unsure_opinion_offers_its_labels_and_nothing_to_confirm(browser, radiologist, unsure_study):
    page = browser(radiologist).get(page_of(unsure_study))
    said = text(page)
    assert "Unsure: COVID-19 or Normal" in said
    assert "The model is unsure, so there is nothing to confirm. The label is yours to choose." in said
    assert "Confirm:" not in said
    # The labels that are named need no reason; every other is an override with one.
    assert filled_in(page)["decision"] == ["decide", "override"]
    shown = html(page)
    named, others = shown.split('name="decision" value="override"')
    assert 'value="covid19"' in named.split('value="decide"')[1]
    assert 'value="covid19"' not in others
    assert 'value="viral_pneumonia"' in others
    # No label is chosen beforehand: an unsure model must not lead the reader.
    assert "checked" not in shown.split('value="decide"')[1]


def test_a_decision_between_the_named_labels_is_signed_without_a_reason(browser, radiologist, unsure_study):
    response = decide(browser(radiologist), unsure_study, "decide", label="normal", note="No opacity.")
    assert response.status_code == 200
    assert (
        "Normal Decided where the second opinion named several labels No opacity. Signed by Rafael Reader"
        in text(response)
    )


def test_a_decision_without_a_label_comes_back_with_what_was_typed(browser, radiologist, unsure_study):
    response = decide(browser(radiologist), unsure_study, "decide", note="No opacity.")
    assert response.status_code == 422
    assert "Choose a label from the list." in text(response).split("None of these: override")[0]
    assert "No opacity." in html(response).split('value="override"')[0]
    assert 'id="own-reading" open' not in html(response)


def test_an_unsure_opinion_is_not_confirmed_by_a_program_either(browser, radiologist, unsure_study):
    response = decide(browser(radiologist), unsure_study, "confirm")
    assert response.status_code == 400
    assert "There is no single second opinion to confirm" in text(response)
    assert not Review.objects.exists()


def test_images_that_differ_are_decided_between_in_the_same_way(browser, radiologist, study):
    PredictionFactory(image=ImageFactory(study=study), done=True, label="normal")
    said = text(browser(radiologist).get(page_of(study)))
    assert "The images get different labels, so there is nothing to confirm." in said
    assert decide(browser(radiologist), study, "decide", label="normal").status_code == 200
