"""Reports over the API: the draft, the signature with its texts, addendum, correction, paper."""

import pytest

from diagnosis.models import ReportDraft, Review, Site
from diagnosis.selectors.studies import second_opinion
from tests.factories import PASSWORD, ReviewFactory


@pytest.fixture
def reader(client_of, radiologist):
    return client_of(radiologist)


@pytest.fixture
def signed(patient, radiologist):
    return ReviewFactory(study__patient=patient, reader=radiologist, findings="On the left.")


def draft_of(study):
    return f"/api/v1/studies/{study.pk}/report-draft/"


def test_a_draft_is_saved_read_back_and_not_overwritten_unseen(reader, study):
    saved = reader.post(draft_of(study), {"version": 0, "findings": " Clear\n", "impression": "Normal."})
    assert (saved.status_code, saved.data["version"]) == (200, 1)
    assert reader.get(draft_of(study)).data["findings"] == " Clear\n"
    late = reader.post(draft_of(study), {"version": 0, "findings": "Other."})
    assert (late.status_code, late.data["code"]) == (409, "conflict")
    assert ReportDraft.objects.get().findings == " Clear\n"


def test_a_draft_keeps_what_was_chosen(reader, study):
    chosen = {"label": "normal", "confidence": "likely", "reason": "artefact"}
    assert reader.post(draft_of(study), {"version": 0, **chosen}).status_code == 200
    assert {name: reader.get(draft_of(study)).data[name] for name in chosen} == chosen
    refused = reader.post(draft_of(study), {"version": 1, "confidence": "certain"})
    assert (refused.status_code, list(refused.data["errors"])) == (400, ["confidence"])


def test_a_draft_is_discarded_in_the_version_that_is_known(reader, client_of, second_radiologist, study):
    reader.post(draft_of(study), {"version": 0, "findings": "One."})
    reader.post(draft_of(study), {"version": 1, "findings": "Two."})
    assert reader.delete(draft_of(study)).status_code == 400
    assert reader.delete(f"{draft_of(study)}?version=1").status_code == 409
    assert client_of(second_radiologist).delete(f"{draft_of(study)}?version=2").status_code == 404
    assert ReportDraft.objects.get().findings == "Two."
    assert reader.delete(f"{draft_of(study)}?version=2").status_code == 204
    assert not ReportDraft.objects.exists()
    assert reader.delete(f"{draft_of(study)}?version=2").status_code == 404


def test_a_draft_is_its_authors_alone(reader, client_of, second_radiologist, study):
    reader.post(draft_of(study), {"version": 0, "findings": "Mine."})
    assert client_of(second_radiologist).get(draft_of(study)).status_code == 404


def test_a_draft_does_not_follow_the_report_of_another_study(reader, study, signed):
    answer = reader.post(draft_of(study), {"version": 0, "kind": "addendum", "basis": str(signed.pk)})
    assert answer.status_code == 400
    assert "basis" in answer.data["errors"]


def test_the_texts_of_a_report_are_signed_with_the_read(reader, study, prediction):
    reader.post(draft_of(study), {"version": 0, "findings": "Clear."})
    answer = reader.post(
        f"/api/v1/studies/{study.pk}/reviews/",
        {
            "decision": "confirm",
            "opinion_token": second_opinion(study).token,
            "findings": "Clear lungs.",
            "impression": "Normal.",
            "comparison": "None.",
            "draft_version": 1,
        },
    )
    assert answer.status_code == 201
    assert [answer.data[name] for name in ("findings", "impression", "comparison")] == [
        "Clear lungs.",
        "Normal.",
        "None.",
    ]
    assert not ReportDraft.objects.exists()


def test_where_the_site_asks_a_program_gives_the_password_too(reader, study, prediction):
    Site.objects.update(signing_asks_password=True)
    address = f"/api/v1/studies/{study.pk}/reviews/"
    body = {"decision": "confirm", "opinion_token": second_opinion(study).token}
    refused = reader.post(address, body)
    assert refused.status_code == 400
    assert "Enter your password to sign" in refused.data["errors"]["signing_password"][0]
    answer = reader.post(address, {**body, "signing_password": PASSWORD})
    assert answer.status_code == 201
    assert "signing_password" not in answer.data


def test_an_addendum_and_a_correction_are_versions(reader, signed):
    study = signed.study
    added = reader.post(
        f"/api/v1/studies/{study.pk}/addenda/", {"follows": str(signed.pk), "addendum": "Told Dr Doctor."}
    )
    assert (added.status_code, added.data["kind"], added.data["addendum"]) == (
        201,
        "addendum",
        "Told Dr Doctor.",
    )
    correction = {
        "follows": added.data["id"],
        "label": "normal",
        "findings": "On the right.",
        "change_reason": "Wrong side.",
    }
    corrected = reader.post(f"/api/v1/studies/{study.pk}/corrections/", correction)
    assert (corrected.status_code, corrected.data["follows"]) == (201, signed.followed_by.pk)
    late = reader.post(f"/api/v1/studies/{study.pk}/corrections/", correction)
    assert late.status_code == 409
    assert Review.objects.count() == 3


def test_the_report_comes_as_a_pdf(api, signed):
    answer = api.get(f"/api/v1/reviews/{signed.pk}/report/")
    assert answer["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")
    assert "no-store" in answer["Cache-Control"]
