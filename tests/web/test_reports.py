"""Writing a report, and reading, adding to and correcting a signed one."""

import pytest
from django.urls import reverse

from diagnosis.models import AuditEvent, ReportDraft, Review, SecondRead, Site
from diagnosis.policies import may_see_ai
from diagnosis.selectors.studies import second_opinion
from tests.factories import PASSWORD, ImageFactory, ReportTextFactory, ReviewFactory
from tests.web.conftest import HTMX
from tests.web.pages import filled_in, html, text

JSON = {"Accept": "application/json"}


def draft_of(study):
    return reverse("web:report_draft", args=[study.pk])


def page_of(study):
    return reverse("web:study", args=[study.pk])


def save(client, author, study, version=0, **texts):
    sent = {"author": author.pk, "draft_version": version, "kind": "signed", **texts}
    return client.post(draft_of(study), sent, headers=JSON)


def sign(client, study, **values):
    sent = {"decision": "confirm", "opinion_token": second_opinion(study).token, **values}
    return client.post(reverse("web:review", args=[study.pk]), sent, headers=HTMX)


@pytest.fixture
def signed(patient, radiologist):
    return ReviewFactory(
        study__patient=patient,
        reader=radiologist,
        findings="Opacity on the <left>.",
        impression="Pneumonia.",
    )


def report_of(signed):
    return reverse("web:report", args=[signed.study.pk])


# Drafts


def test_what_was_typed_is_back_after_a_reload_with_when_it_was_saved(browser, radiologist, study):
    client = browser(radiologist)
    told = save(client, radiologist, study, findings="Clear.\r\nNo <effusion>.").json()
    page = client.get(page_of(study))
    assert "Clear.\nNo &lt;effusion&gt;.</textarea>" in html(page)
    assert f"Saved {told['saved']}" in text(page)
    assert filled_in(page)["draft_version"] == ["1"]


def test_another_window_is_told_what_is_kept_and_overwrites_nothing(browser, radiologist, study):
    client = browser(radiologist)
    save(client, radiologist, study, findings="One.")
    save(client, radiologist, study, version=1, findings="Two.")
    response = save(client, radiologist, study, version=1, findings="Three.")
    assert response.status_code == 409
    assert response.json()["texts"]["findings"] == "Two."
    assert response.json()["version"] == 2
    assert ReportDraft.objects.get().findings == "Two."


def test_who_logged_in_in_the_same_browser_does_not_get_the_draft_of_somebody_else(
    browser, radiologist, second_radiologist, study
):
    response = save(browser(second_radiologist), radiologist, study, findings="Mine.")
    assert response.status_code == 400
    assert "Somebody else has logged in" in response.json()["sentence"]
    assert not ReportDraft.objects.exists()


def test_a_draft_is_its_authors_alone(browser, radiologist, second_radiologist, admin, study):
    save(browser(radiologist), radiologist, study, findings="Not for others.")
    for person in (second_radiologist, admin):
        assert "Not for others." not in html(browser(person).get(page_of(study)))
    told = browser(second_radiologist).get(draft_of(study)).json()
    assert (told["version"], told["author"]) == (0, second_radiologist.pk)


def test_without_a_script_a_button_saves_the_draft_and_a_signature_takes_what_was_saved(
    browser, radiologist, study
):
    client = browser(radiologist)
    saved = client.post(draft_of(study), {"author": radiologist.pk, "findings": "Clear.", "draft_version": 0})
    assert (saved.status_code, saved["Location"]) == (302, page_of(study))
    sign(client, study)
    assert Review.objects.get().findings == "Clear."
    assert not ReportDraft.objects.exists()


def test_the_report_on_screen_is_what_is_signed(browser, radiologist, study):
    client = browser(radiologist)
    save(client, radiologist, study, findings="Clear.", impression="Normal.")
    response = sign(client, study, draft_version=1, findings="Clear lungs.", impression="Normal.")
    assert response.status_code == 200
    assert "Findings Clear lungs. Impression Normal." in text(response)
    assert "report-signed" in response["HX-Trigger"]
    assert not ReportDraft.objects.exists()


def test_a_blank_stops_the_signature_and_says_where_it_is(browser, radiologist, study):
    response = sign(browser(radiologist), study, draft_version=0, findings="Opacity in the ___ zone.")
    assert response.status_code == 422
    assert "Findings: There is a blank ___ in the text." in text(response)
    assert not Review.objects.exists()


def test_a_draft_that_another_window_changed_is_not_signed_away(browser, radiologist, study):
    client = browser(radiologist)
    save(client, radiologist, study, findings="One.")
    save(client, radiologist, study, version=1, findings="Two.")
    response = sign(client, study, draft_version=1, findings="One.")
    assert response.status_code == 409
    assert "changed in another window" in text(response)
    assert ReportDraft.objects.get().findings == "Two."


def test_a_draft_outlives_somebody_elses_signature_and_is_discarded_by_hand(
    browser, radiologist, second_radiologist, study
):
    save(browser(second_radiologist), second_radiologist, study, findings="Mine.")
    sign(browser(radiologist), study)
    client = browser(second_radiologist)
    page = client.get(page_of(study))
    assert "Your draft, not signed" in text(page)
    assert "Findings: Mine." in text(page)
    response = client.post(
        reverse("web:report_draft_discard", args=[study.pk]),
        {"draft_version": filled_in(page)["draft_version"]},
    )
    assert response.status_code == 302
    assert not ReportDraft.objects.exists()


# Ready texts


def test_the_hospitals_texts_are_offered_with_what_is_known_filled_in(
    browser, radiologist, study, other_site
):
    ReportTextFactory(site=study.site, code="old", name="Old patient", block="Aged {age}, seen {date}.")
    ReportTextFactory(site=other_site, code="foreign", name="Not ours")
    page = html(browser(radiologist).get(page_of(study)))
    age = study.patient.age_on(study.created_at.date())
    assert f'data-block="Aged {age}, seen ___."' in page
    assert "Not ours" not in page


# The password


def test_where_the_site_asks_the_read_is_signed_with_the_password_alone(browser, radiologist, study):
    Site.objects.update(signing_asks_password=True)
    client = browser(radiologist)
    assert 'name="signing_password"' in html(client.get(page_of(study)))
    wrong = sign(client, study, signing_password="guess")
    assert wrong.status_code == 422
    assert "This is not your password." in text(wrong)
    assert "guess" not in html(wrong)
    assert sign(client, study, signing_password=PASSWORD).status_code == 200


def test_where_the_site_does_not_ask_there_is_no_field_for_it(browser, radiologist, study):
    assert "signing_password" not in html(browser(radiologist).get(page_of(study)))


# Versions


def test_everybody_who_may_see_the_study_reads_the_report_and_it_is_on_record(browser, doctor, signed):
    page = browser(doctor).get(report_of(signed))
    assert "Opacity on the <left>." in text(page)
    assert "Sign the addendum" not in text(page)
    assert AuditEvent.objects.get(action="report_opened").actor == doctor


def test_an_addendum_is_a_new_version_on_top(browser, radiologist, signed):
    client = browser(radiologist)
    response = client.post(
        reverse("web:report_addendum", args=[signed.study.pk]),
        {"follows": signed.pk, "addendum": "Told Dr Doctor.", "draft_version": 0},
        follow=True,
    )
    said = text(response)
    assert "Version 2: Addendum" in said
    assert "Addendum: Added: Told Dr Doctor. (end of what was added)" in said
    assert said.index("Version 2") < said.index("Version 1")


def test_a_correction_tells_word_by_word_what_changed_and_why(browser, radiologist, signed):
    client = browser(radiologist)
    sent = filled_in(client.get(report_of(signed)))
    assert sent["follows"] == [str(signed.pk), str(signed.pk)]
    response = client.post(
        reverse("web:report_correction", args=[signed.study.pk]),
        {
            "follows": signed.pk,
            "label": "normal",
            "findings": "Opacity on the <right>.",
            "impression": "Pneumonia.",
            "change_reason": "Wrong side.",
            "draft_version": 0,
        },
        follow=True,
    )
    assert "Why: Wrong side." in text(response)
    assert (
        'Opacity on the &lt;<del><span class="visually-hidden"> Removed: </span>left<span class="visually-hidden">'
        in html(response)
    )
    assert '<ins><span class="visually-hidden"> Added: </span>right<span' in html(response)
    changed, standing = text(response).split("Version 1")[0].split("What changed")[1].split("as it stands")
    assert "Pneumonia" not in changed
    assert "Opacity on the <right>." in standing
    assert "Impression Pneumonia." in standing


@pytest.mark.parametrize("seen", [[], [{"prediction": "", "label": "covid19"}]], ids=["silent", "spoke"])
def test_the_form_of_a_correction_does_not_tell_an_adjudicator_whether_the_network_spoke(
    browser, patient, radiologist, second_radiologist, seen
):
    signed = ReviewFactory(study__patient=patient, reader=radiologist, seen_predictions=seen)
    ImageFactory(study=signed.study)
    SecondRead.objects.create(study=signed.study, review=signed, state="to_adjudicate", cause_rank=0)
    Site.objects.update(reading_protocol="read-first")
    assert not may_see_ai(second_radiologist, signed.study)
    page = html(browser(second_radiologist).get(report_of(signed)))
    assert '<select name="reason"' in page


def test_what_is_missing_is_said_and_what_was_typed_stays(browser, radiologist, signed):
    response = browser(radiologist).post(
        reverse("web:report_correction", args=[signed.study.pk]),
        {"follows": signed.pk, "label": "normal", "findings": "Opacity on the <right>.", "change_reason": ""},
    )
    assert response.status_code == 422
    assert "Write why the report is corrected." in text(response)
    assert "Opacity on the &lt;right&gt;.</textarea>" in html(response)
    assert 'id="correct" open' in html(response)


def test_who_is_late_is_told_and_keeps_the_text(browser, radiologist, second_radiologist, signed):
    address = reverse("web:report_addendum", args=[signed.study.pk])
    browser(radiologist).post(address, {"follows": signed.pk, "addendum": "First."})
    late = browser(second_radiologist).post(address, {"follows": signed.pk, "addendum": "Second."})
    assert late.status_code == 409
    assert "Somebody signed a newer version of this report meanwhile." in text(late)
    assert "Second.</textarea>" in html(late)


def test_the_draft_of_an_addendum_is_back_after_a_reload(browser, radiologist, signed):
    client = browser(radiologist)
    save(client, radiologist, signed.study, kind="addendum", basis=signed.pk, addendum="Half a sent")
    page = html(client.get(report_of(signed)))
    assert "Half a sent</textarea>" in page
    assert 'id="add" open' in page


def test_a_correction_drafted_over_an_older_version_takes_nothing_back(
    browser, radiologist, second_radiologist, signed
):
    client = browser(radiologist)
    save(client, radiologist, signed.study, kind="correction", basis=signed.pk, findings="Old words.")
    browser(second_radiologist).post(
        reverse("web:report_addendum", args=[signed.study.pk]), {"follows": signed.pk, "addendum": "News."}
    )
    page = client.get(report_of(signed))
    assert "Your draft, not signed" in text(page)
    assert "Findings: Old words." in text(page)
    assert "Old words.</textarea>" not in html(page)


# Paper


def test_the_pdf_comes_under_a_name_that_names_nobody_and_is_kept_nowhere(browser, doctor, signed):
    response = browser(doctor).get(reverse("web:report_pdf", args=[signed.pk]))
    assert response["Content-Type"] == "application/pdf"
    assert response["Content-Disposition"] == f'inline; filename="report-{signed.pk}.pdf"'
    assert {"no-store", "private"} <= set(response["Cache-Control"].split(", "))
    assert response.content.startswith(b"%PDF-")
    assert AuditEvent.objects.get(action="report_printed").actor == doctor
