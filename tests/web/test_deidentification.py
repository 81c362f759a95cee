"""What goes and what stays is shown to those whom it concerns, and text in the picture is warned of."""

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from pydicom import uid

from diagnosis.intake.deidentification.tables import as_markdown
from diagnosis.intake.receive import receive_file
from diagnosis.models import AuditEvent, Site
from diagnosis.models.burnt_in import BURNT_IN_SENTENCES, BurntInText, burnt_in_text
from tests.factories import ImageFactory, UserFactory
from tests.web.files import dicom, png
from tests.web.pages import html, text

PAGE = "/deidentification/"
SAID, LIKELY, NOT_SAID = (
    str(BURNT_IN_SENTENCES[said]) for said in (BurntInText.SAID, BurntInText.LIKELY, BurntInText.NOT_SAID)
)


@pytest.fixture
def copying(site):
    Site.objects.filter(pk=site.pk).update(deidentification="stored_copy")
    site.refresh_from_db()
    return site


def test_the_page_is_written_from_the_rules(browser, doctor, copying):
    page = text(browser(doctor).get(PAGE))
    assert "It is so at: Saint Example" in page
    assert "Patient's Name Emptied (0010,0010) Z" in page
    assert "Study Instance UID Replaced by another UID (0020,000D) U" in page
    assert "View Position Kept (0018,5101) -" in page
    assert "Text that is burnt into it stays" in page


def test_the_page_names_no_hospital_of_others(browser, outsider, copying):
    page = text(browser(outsider).get(PAGE))
    assert "Saint Example" not in page
    assert "A hospital may have the portal store a de-identified copy" in page


def test_the_table_in_the_documentation_is_that_of_the_code():
    path = settings.BASE_DIR / "docs" / "deidentification-table.md"
    assert path.read_text(encoding="utf-8") == as_markdown(), "Run manage.py deidentification_table again."


def test_the_uploader_is_told_before_sending_and_before_confirming(browser, doctor, copying):
    client = browser(doctor)
    assert f'href="{PAGE}"' in html(client.get(reverse("web:home")))
    receive_file(actor=doctor, site=copying, upload=SimpleUploadedFile("1.dcm", dicom()))
    page = client.get(reverse("web:confirm"))
    assert "This hospital stores a de-identified copy." in text(page)
    assert f'href="{PAGE}"' in html(page)


def test_where_files_are_stored_as_they_came_nothing_is_said_of_copies(browser, doctor, site):
    client = browser(doctor)
    receive_file(actor=doctor, site=site, upload=SimpleUploadedFile("1.dcm", dicom()))
    for name in ("web:home", "web:confirm"):
        assert PAGE not in html(client.get(reverse(name)))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"burned_in_annotation": "YES"}, BurntInText.SAID),
        ({"burned_in_annotation": "yes ", "modality": "CR"}, BurntInText.SAID),
        ({"burned_in_annotation": "NO", "modality": "US"}, BurntInText.NONE),
        ({"burned_in_annotation": "", "modality": "US"}, BurntInText.LIKELY),
        ({"sop_class_uid": uid.SecondaryCaptureImageStorage, "modality": "CR"}, BurntInText.LIKELY),
        (
            {"sop_class_uid": uid.MultiFrameTrueColorSecondaryCaptureImageStorage, "modality": ""},
            BurntInText.LIKELY,
        ),
        ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.77.1.4", "modality": "DX"}, BurntInText.NOT_SAID),
        ({"modality": "DX"}, BurntInText.NOT_SAID),
        ({}, BurntInText.NOT_SAID),
    ],
    ids=str,
)
def test_what_is_known_of_text_in_the_picture(header, expected):
    assert burnt_in_text(header) is expected


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"BurnedInAnnotation": "YES"}, SAID),
        ({"BurnedInAnnotation": None, "Modality": "SC"}, LIKELY),
        ({"BurnedInAnnotation": None}, NOT_SAID),
    ],
    ids=["said", "likely", "not said"],
)
def test_the_uploader_of_a_copy_is_warned_of_text_in_the_picture(browser, doctor, copying, said, sentence):
    receive_file(actor=doctor, site=copying, upload=SimpleUploadedFile("1.dcm", dicom(elements=said)))
    assert f"1.dcm : {sentence}" in text(browser(doctor).get(reverse("web:confirm")))


def test_several_pictures_are_warned_of_in_one_sentence(browser, doctor, copying):
    for seed in range(1, 5):
        receive_file(actor=doctor, site=copying, upload=SimpleUploadedFile(f"{seed}.png", png(seed)))
    page = text(browser(doctor).get(reverse("web:confirm")))
    assert page.count(NOT_SAID) == 1
    assert f"4 images: {NOT_SAID}" in page


def test_a_file_that_says_it_has_text_is_warned_of_everywhere(browser, doctor, site):
    content = dicom(elements={"BurnedInAnnotation": "YES"})
    receive_file(actor=doctor, site=site, upload=SimpleUploadedFile("1.dcm", content))
    assert SAID in text(browser(doctor).get(reverse("web:confirm")))


def test_the_study_page_says_that_it_shows_a_copy_and_warns(browser, doctor, study):
    ImageFactory(study=study, stored_sha256="0" * 64, header={"modality": "CR"})
    page = text(browser(doctor).get(reverse("web:study", args=[study.pk])))
    assert f"De-identified copy. {NOT_SAID} What was removed" in page


def test_the_study_page_of_files_as_they_came_says_nothing(browser, doctor, study):
    assert "De-identified" not in text(browser(doctor).get(reverse("web:study", args=[study.pk])))


def test_a_superuser_switches_it_and_the_change_is_on_record(browser, site):
    superuser = UserFactory(username="root", is_superuser=True, is_staff=True)
    address = reverse("admin:diagnosis_site_change", args=[site.pk])
    client = browser(superuser)
    page = client.get(address)
    assert f'<a href="{PAGE}">What goes and what stays</a>' in html(page)
    shown = {field.name: field.value() for field in page.context["adminform"].form}
    sent = {name: value for name, value in shown.items() if value is not None} | {
        "deidentification": "stored_copy"
    }
    assert client.post(address, sent).status_code == 302
    site.refresh_from_db()
    assert site.stores_deidentified
    event = AuditEvent.objects.filter(action="access_changed", site=site).latest("pk")
    assert (event.actor, event.details["fields"]) == (superuser, ["deidentification"])
