"""A hospital that stores de-identified copies: what is kept of a file, by whatever road it comes."""

import base64
import hashlib
import io
import json
import zipfile
from io import BytesIO

import numpy as np
import pydicom
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from PIL import Image as Picture
from PIL import PngImagePlugin
from pydicom import uid
from rest_framework.test import APIClient

from diagnosis.intake.deidentified import uid_key
from diagnosis.intake.receive import receive_file
from diagnosis.models import HeldFile, Image, IncomingFile, Patient, Site, Study
from diagnosis.services.held import held_file_assign, held_file_attach, held_file_discard
from diagnosis.services.patients import PatientIdentity
from diagnosis.services.studies import FileOutcome, study_submit
from diagnosis.services.tokens import token_issue
from ml.imaging import load_image
from tests.canaries import MRN, assert_image_is_clean, canaries_in, planted
from tests.factories import PatientFactory
from tests.web.files import dicom, png

STOW = 'multipart/related; type="application/dicom"; boundary=between'


@pytest.fixture
def site(site):
    Site.objects.filter(pk=site.pk).update(deidentification="stored_copy")
    site.refresh_from_db()
    return site


@pytest.fixture
def api(doctor, site):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token_issue(user=doctor).secret}")
    return client


def confirm(doctor) -> Image:
    """What the confirmation page does: the uploader says whose the waiting file is."""
    incoming = IncomingFile.objects.get()
    patient = PatientFactory(
        site=incoming.site, mrn=MRN, person_name="Canary^Carla", sex="F", birth_date="1977-07-13"
    )
    [receipt] = study_submit(actor=doctor, patient=patient, files=[incoming])
    assert receipt.outcome is FileOutcome.STORED
    return receipt.image


# The roads


def test_by_the_form_of_the_web_page(doctor, site):
    client = Client()
    client.force_login(doctor)
    file = SimpleUploadedFile("1.dcm", planted())
    assert client.post(reverse("web:upload"), {"site": site.pk, "files": file}).status_code == 302
    assert_image_is_clean(confirm(doctor), planted())


def test_by_tus_in_two_parts(doctor, site):
    client, content = Client(), planted()
    client.force_login(doctor)
    tus = {"Tus-Resumable": "1.0.0"}
    name = base64.b64encode(b"1.dcm").decode()
    begun = client.post(
        f"{reverse('web:parts')}?site={site.pk}",
        content[:700],
        content_type="application/offset+octet-stream",
        headers={**tus, "Upload-Length": str(len(content)), "Upload-Metadata": f"filename {name}"},
    )
    assert begun.status_code == 201, begun.content
    sent = client.patch(
        begun["Location"],
        content[700:],
        content_type="application/offset+octet-stream",
        headers={**tus, "Upload-Offset": "700"},
    )
    assert sent["X-Outcome"] == "waiting"
    assert_image_is_clean(confirm(doctor), content)


def test_by_rest(api):
    response = api.post(
        "/api/v1/uploads/", {"files": SimpleUploadedFile("1.dcm", planted())}, format="multipart"
    )
    assert [file["status"] for file in response.json()["results"]] == ["stored"]
    assert_image_is_clean(Image.objects.get(), planted())


def test_by_stow(api):
    body = b"--between\r\nContent-Type: application/dicom\r\n\r\n" + planted() + b"\r\n--between--\r\n"
    response = api.generic("POST", "/dicom-web/studies", body, content_type=STOW)
    assert response.status_code == 200, response.content
    image = Image.objects.get()
    assert_image_is_clean(image, planted())
    [item] = response.json()["00081199"]["Value"]
    assert item["00081155"]["Value"] == [pydicom.dcmread(BytesIO(planted())).SOPInstanceUID]
    assert item["00081196"]["Value"] == [0xB000]  # Coercion of Data Elements.
    assert item["00081190"]["Value"][0].endswith(f"/instances/{image.sop_instance_uid}")
    assert api.get(item["00081190"]["Value"][0]).status_code == 200


def test_by_the_bulk_import_of_a_cd(doctor, site, tmp_path):
    with zipfile.ZipFile(tmp_path / "cd.zip", "w") as archive:
        archive.writestr("1.dcm", planted())
    said = io.StringIO()
    call_command("import_studies", str(tmp_path / "cd.zip"), username=doctor.username, stdout=said)
    assert said.getvalue().splitlines()[-1] == "1 stored, 0 duplicate, 0 held, 0 refused."
    assert_image_is_clean(Image.objects.get(), planted())


# The rules


def test_the_record_of_the_hospital_knows_whose_it_is_and_when(receive):
    receive(planted())
    patient = Patient.objects.get()
    assert (patient.mrn, patient.person_name) == (MRN, "Canary^Carla")
    study = Study.objects.get()
    assert study.patient == patient
    assert study.performed_at.date().isoformat() == "1977-07-13"


def test_nothing_of_what_came_is_kept_in_the_storage(receive, stored_files):
    image = receive(planted()).image
    assert {name for name in stored_files() if name.startswith("originals/")} == {image.file.name}
    with image.file.open("rb") as file:
        content = file.read()
    assert hashlib.sha256(content).hexdigest() == image.stored_sha256
    assert image.sha256 == hashlib.sha256(planted()).hexdigest()
    assert image.size == len(content)


def test_the_same_bytes_again_are_a_duplicate(receive):
    assert receive(planted()).outcome is FileOutcome.STORED
    again = receive(planted())
    assert again.outcome is FileOutcome.DUPLICATE
    assert Image.objects.count() == 1


def test_the_same_picture_with_other_bytes_is_a_duplicate_and_another_picture_is_held(receive):
    receive(planted())
    other_words = planted(ImageComments="Another canary")
    assert receive(other_words).outcome is FileOutcome.DUPLICATE
    other_picture = planted(2, SOPInstanceUID=pydicom.dcmread(BytesIO(planted())).SOPInstanceUID)
    held = receive(other_picture)
    assert (held.outcome, held.code) == (FileOutcome.HELD, "other_pixels")


def test_files_of_one_study_make_one_study_here_too(receive):
    receive(planted(1))
    receive(planted(2))
    assert Study.objects.get().images.count() == 2


def test_the_same_study_at_two_hospitals_has_nothing_in_common(site, other_site):
    assert uid_key(site) != uid_key(other_site)


def test_a_file_from_before_the_switch_stays_as_it_came(receive, site):
    Site.objects.filter(pk=site.pk).update(deidentification="off")
    site.refresh_from_db()
    image = receive(dicom(1)).image
    assert not image.is_deidentified
    Site.objects.filter(pk=site.pk).update(deidentification="stored_copy")
    site.refresh_from_db()
    assert receive(dicom(1)).outcome is FileOutcome.DUPLICATE
    image.refresh_from_db()
    with image.file.open("rb") as file:
        assert file.read() == dicom(1)
    assert receive(dicom(2)).image.is_deidentified


def test_a_lateral_view_is_still_kept_and_not_analysed(receive):
    image = receive(planted(ViewPosition="LL")).image
    assert (image.not_analysed_code, image.view_position) == ("lateral", "LL")


def test_what_holds_words_and_no_picture_is_refused_with_what_to_do(receive):
    content = dicom(1, elements={"SOPClassUID": uid.BasicTextSRStorage, "Modality": "SR"})
    refused = receive(content)
    assert (refused.outcome, refused.code) == (FileOutcome.REFUSED, "not_deidentified_words")
    assert "Send the images without it" in refused.reason


# Held and waiting files


def test_a_contradiction_is_held_as_a_copy_and_says_what_the_original_said(receive, site, admin):
    record = PatientFactory(site=site, mrn=MRN, person_name="Somebody^Else")
    assert receive(planted()).code == "patient_differs"
    held = HeldFile.objects.get()
    assert held.is_deidentified
    assert held.header["patient_name"] == "Canary^Carla"
    with held.file.open("rb") as file:
        assert canaries_in(file.read()) == []
    image = held_file_attach(actor=admin, held=held)
    assert image.study.patient == record
    assert_image_is_clean(image, planted())
    held.refresh_from_db()
    assert canaries_in(json.dumps([held.header, held.stored_header]).encode()) == []


def test_a_held_picture_under_a_known_uid_becomes_a_clean_instance_of_its_own(receive, admin):
    receive(planted())
    receive(planted(2, SOPInstanceUID=pydicom.dcmread(BytesIO(planted())).SOPInstanceUID))
    image = held_file_attach(actor=admin, held=HeldFile.objects.get())
    assert image.is_deidentified
    with image.file.open("rb") as file:
        content = file.read()
    assert canaries_in(content) == []
    assert canaries_in(json.dumps(image.header).encode()) == []
    assert pydicom.dcmread(BytesIO(content)).SOPInstanceUID == image.sop_instance_uid


def test_a_discarded_file_leaves_nothing_that_it_said(receive, site, admin):
    PatientFactory(site=site, mrn=MRN, person_name="Somebody^Else")
    receive(planted())
    held_file_discard(actor=admin, held=HeldFile.objects.get())
    held = HeldFile.objects.get()
    assert (held.header, held.stored_header, held.file.name) == ({}, {}, "")


def test_a_file_without_a_number_is_assigned_by_hand_and_stored_clean(receive, admin):
    content = planted(PatientID="")
    assert receive(content).code == "patient_not_named"
    image = held_file_assign(actor=admin, held=HeldFile.objects.get(), mrn="MRN-77")
    assert image.study.patient.mrn == "MRN-77"
    assert_image_is_clean(image, content)


# Pictures


def test_a_picture_is_stored_without_its_metadata(receive, doctor, site):
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "A canary, born 770713")
    out = BytesIO()
    with Picture.open(BytesIO(png())) as picture:
        picture.save(out, "PNG", pnginfo=text)
    upload = SimpleUploadedFile("1.png", out.getvalue())
    assert receive_file(actor=doctor, site=site, upload=upload).outcome is FileOutcome.WAITING
    image = confirm(doctor)
    with image.file.open("rb") as file:
        stored = file.read()
    assert canaries_in(out.getvalue())
    assert image.is_deidentified
    assert canaries_in(stored) == []
    assert np.array_equal(load_image(stored).pixels, load_image(png()).pixels)


def test_a_tiff_picture_is_refused_and_nothing_of_it_kept(receive, stored_files):
    out = BytesIO()
    Picture.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)).save(out, "TIFF")
    refused = receive(out.getvalue(), described=None)
    assert refused.code == "not_deidentified_tiff"
    assert stored_files() == []


def test_the_database_knows_no_third_way(site):
    with pytest.raises(IntegrityError), transaction.atomic():
        Site.objects.filter(pk=site.pk).update(deidentification="sometimes")


def test_the_record_of_the_image_names_nobody(receive):
    assert PatientIdentity.from_header(receive(planted()).image.header) is None
