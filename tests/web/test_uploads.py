"""Files arrive one by one; each gets its own answer."""

import pytest
from django.test import Client
from django.urls import reverse

from diagnosis.models import AuditEvent, Image, IncomingFile, Patient, Study
from diagnosis.web.views import uploads
from ml.phantom import phantom_dicom
from tests.api.test_bad_input import BAD_FILES
from tests.factories import IncomingFileFactory
from tests.web.conftest import HTMX
from tests.web.files import SMALL, dicom, png, uploaded
from tests.web.pages import html, text

UPLOAD = reverse("web:upload")
CONFIRM = reverse("web:confirm")


def send(client, site, name, content):
    """One file, as the script of the drop zone sends it."""
    return client.post(UPLOAD, {"site": site.pk, "files": uploaded(name, content)}, headers=HTMX)


def nothing_is_stored(stored_files):
    return not (stored_files() or IncomingFile.objects.exists() or Study.objects.exists())


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_refused_with_a_sentence_and_nothing_is_left(browser, doctor, site, stored_files, kind):
    content, _ = BAD_FILES[kind]
    response = send(browser(doctor), site, "chest.dcm", content)
    assert response.status_code == 422
    assert response["X-Outcome"] == "refused"
    said = text(response)
    assert said.startswith("chest.dcm Refused ")
    assert said.endswith(".")
    assert len(said.split()) > 9
    assert nothing_is_stored(stored_files)
    assert AuditEvent.objects.get(action="file_refused").actor == doctor


def test_a_file_over_the_limit_is_refused_by_the_server_too(browser, doctor, site, settings, stored_files):
    settings.CXR_MAX_UPLOAD_BYTES = 50_000
    response = send(browser(doctor), site, "large.dcm", dicom() + b"\0" * 50_000)
    assert response.status_code == 422
    assert "larger than the limit" in text(response)
    assert nothing_is_stored(stored_files)


def test_the_page_tells_the_script_the_limit(browser, doctor, settings):
    settings.CXR_MAX_UPLOAD_BYTES = 5 * 2**20
    page = html(browser(doctor).get(reverse("web:home")))
    assert f'data-max-bytes="{5 * 2**20}" data-max-megabytes="5"' in page


def test_a_lateral_hand_is_taken_as_a_file(browser, doctor, site):
    hand = phantom_dicom(3, **SMALL, view_position="LL", elements={"BodyPartExamined": "HAND"})
    assert send(browser(doctor), site, "hand.dcm", hand).status_code == 201
    assert "HAND · LL" in text(browser(doctor).get(CONFIRM))


def test_a_good_file_waits_and_is_offered_for_confirmation(browser, doctor, site, stored_files):
    client = browser(doctor)
    response = send(client, site, "chest.dcm", dicom())
    assert (response.status_code, response["X-Outcome"]) == (201, "waiting")
    assert text(response) == "chest.dcm Waiting for your confirmation"
    assert len(stored_files()) == 3
    assert not Study.objects.exists()
    # Also after the browser was closed: nothing that was acknowledged is lost.
    assert "Confirm the patient" in text(browser(doctor).get(reverse("web:home")))
    assert "Confirm the patient" in text(client.get(reverse("web:waiting")))


def test_the_same_file_again_waits_once(browser, doctor, site):
    send(browser(doctor), site, "chest.dcm", dicom())
    response = send(browser(doctor), site, "copy.dcm", dicom())
    assert "waiting for your confirmation already" in text(response)
    assert IncomingFile.objects.count() == 1


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd.dcm", "passwd.dcm"),
        ("..\\..\\windows\\system.dcm", "system.dcm"),
        ("<img src=x onerror=alert(1)>.dcm", "&lt;img src=x onerror=alert(1)&gt;.dcm"),
        ("胸部.dcm", "胸部.dcm"),
    ],
)
def test_the_name_of_a_file_is_text_and_never_a_path(
    browser, doctor, site, private_media, stored_files, sent, shown
):
    response = send(browser(doctor), site, sent, dicom())
    assert f"<bdi>{shown}</bdi>" in html(response)
    assert f"<bdi>{shown}</bdi>" in html(browser(doctor).get(CONFIRM))
    outside = [
        path
        for path in private_media.parent.rglob("*")
        if path.is_file() and private_media not in path.parents
    ]
    assert outside == []


def test_without_a_script_each_file_of_the_form_gets_its_answer(browser, doctor, site):
    files = [
        uploaded("good.png", png()),
        uploaded("empty.jpg", b""),
        uploaded("letter.dcm", b"Dear colleague"),
        uploaded("good.dcm", dicom()),
    ]
    client = browser(doctor)
    response = client.post(UPLOAD, {"site": site.pk, "files": files})
    assert (response.status_code, response["Location"]) == (302, CONFIRM)
    page = text(client.get(CONFIRM))
    assert "empty.jpg Refused The file is empty" in page
    assert "letter.dcm Refused" in page
    assert "good.png Waiting for your confirmation" in page
    assert "good.dcm Waiting for your confirmation" in page
    assert IncomingFile.objects.count() == 2
    assert "Refused" not in text(client.get(CONFIRM))  # Said once.


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "山田^太郎", "مثال^ليلى"])
def test_a_name_in_a_file_is_shown_as_text(browser, doctor, site, name):
    client = browser(doctor)
    send(client, site, "chest.dcm", dicom(patient_name=name))
    page = html(client.get(CONFIRM))
    assert "<script>alert" not in page
    shown = Patient(person_name=name).display_name.replace("<", "&lt;").replace(">", "&gt;")
    assert f"<bdi>{shown}</bdi>" in page


def test_another_picture_under_a_known_uid_is_held_and_leads_to_the_study_of_the_first(
    browser, doctor, site, study, image
):
    Image.objects.filter(pk=image.pk).update(sop_instance_uid="2.25.7")
    response = send(browser(doctor), site, "again.dcm", dicom(sop_instance_uid="2.25.7"))
    assert (response.status_code, response["X-Outcome"]) == (202, "held")
    assert reverse("web:study", args=[study.pk]) in html(response)
    assert "same SOP Instance UID" in text(response)
    assert not IncomingFile.objects.exists()


def test_a_file_that_breaks_the_server_is_refused_without_its_secrets(
    browser, doctor, site, monkeypatch, caplog
):
    def broken(**_):
        raise RuntimeError("Müller, born 1950, /srv/media/secret")

    monkeypatch.setattr(uploads, "receive_file", broken)
    response = send(browser(doctor), site, "chest.dcm", dicom())
    assert response.status_code == 422
    assert "Müller" not in html(response)
    assert "technical reason" in text(response)
    [logged] = [record for record in caplog.records if record.name == "diagnosis.intake.submit"]
    assert logged.error_id in text(response)
    assert AuditEvent.objects.get(action="file_refused").details == {"code": "technical_error"}


def test_an_administrator_does_not_upload_and_the_try_is_on_record(browser, admin, site):
    response = send(browser(admin), site, "chest.dcm", dicom())
    assert response.status_code == 403
    assert "does not allow you to upload images" in text(response)
    event = AuditEvent.objects.get(action="access_denied")
    assert (event.actor, event.site, event.details, event.succeeded) == (
        admin,
        site,
        {"act": "upload images"},
        False,
    )


@pytest.mark.parametrize("value", ["", "x", "²", "99999999999999999999", "0"])
def test_a_hospital_that_does_not_exist_is_not_found(browser, doctor, value):
    response = browser(doctor).post(UPLOAD, {"site": value, "files": uploaded("a.png", png())}, headers=HTMX)
    assert response.status_code == 404


def test_nothing_goes_to_another_hospital(browser, outsider, site):
    assert send(browser(outsider), site, "chest.dcm", dicom()).status_code == 404


def test_a_request_without_a_file_says_so(browser, doctor, site):
    response = browser(doctor).post(UPLOAD, {"site": site.pk}, headers=HTMX)
    assert response.status_code == 400
    assert "No file arrived" in text(response)


def test_a_waiting_file_is_its_uploaders_alone(browser, doctor, radiologist, site):
    waiting = IncomingFileFactory(site=site, uploaded_by=doctor)
    for name in ("web:waiting_thumbnail", "web:waiting_preview"):
        address = reverse(name, args=[waiting.pk])
        response = browser(doctor).get(address)
        assert (response.status_code, response["Content-Type"]) == (200, "image/jpeg")
        assert "no-store" in response["Cache-Control"]
        assert browser(radiologist).get(address).status_code == 404
    assert "Images wait" not in text(browser(radiologist).get(reverse("web:home")))


def test_a_file_from_another_page_is_not_taken(doctor, site):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(doctor)
    assert send(client, site, "chest.dcm", dicom()).status_code == 403
    assert not IncomingFile.objects.exists()
