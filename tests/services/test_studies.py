"""From a received file to an image of a study."""

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from diagnosis import inference
from diagnosis.errors import Conflict, NotPossible
from diagnosis.intake.receive import receive_file, shown_name
from diagnosis.models import AuditEvent, Image, IncomingFile, OutboxMessage, Patient, Prediction, Study
from diagnosis.services.patients import patient_create, patient_differences
from diagnosis.services.studies import FileOutcome, incoming_file_discard, study_submit
from ml.imaging import ImageRefused
from ml.phantom import phantom_dicom, phantom_png
from tests.factories import ModelVersionFactory, PatientFactory, StudyFactory

SMALL = {"rows": 128, "columns": 120}


def dicom(seed=1, **values):
    return phantom_dicom(seed, **SMALL, **{"patient_id": "MRN-1", "patient_name": "Example^Ana", **values})


def receive(actor, site, content, name="chest.dcm"):
    return receive_file(actor=actor, site=site, upload=SimpleUploadedFile(name, content))


@pytest.fixture
def patient(site):
    return PatientFactory(site=site, mrn="MRN-1", person_name="Example^Ana", birth_date=None, sex="")


@pytest.fixture
def stored_files(settings):
    return lambda: sorted(
        f"{folder}/{name}"
        for folder in ("originals", "previews", "thumbnails")
        if default_storage.exists(folder)
        for name in default_storage.listdir(folder)[1]
    )


def test_a_received_file_waits_with_its_renderings_until_the_patient_is_confirmed(doctor, site, stored_files):
    content = dicom()
    receipt = receive(doctor, site, content)
    assert receipt.outcome is FileOutcome.WAITING
    assert receipt.incoming.header["patient_name"] == "Example^Ana"
    assert default_storage.open(receipt.incoming.file.name).read() == content
    assert not Image.objects.exists()


def test_a_confirmed_dicom_file_becomes_an_image_of_the_study_it_names(doctor, site, patient):
    ModelVersionFactory()
    receipt = receive(doctor, site, dicom(study_instance_uid="1.2.3.4", accession_number="ACC-7"))
    [stored] = study_submit(actor=doctor, patient=patient, files=[receipt.incoming])
    assert stored.outcome is FileOutcome.STORED
    study = Study.objects.get()
    assert (study.study_instance_uid, study.accession_number, study.patient) == ("1.2.3.4", "ACC-7", patient)
    assert (stored.image.rows, stored.image.columns) == (128, 120)
    assert Prediction.objects.get().image == stored.image
    assert OutboxMessage.objects.count() == 1
    assert not IncomingFile.objects.exists()


def test_study_date_and_time_are_read_in_the_hospitals_time_zone(doctor, site, patient):
    receipt = receive(doctor, site, dicom(study_date="20260701", study_time="093000"))
    study_submit(actor=doctor, patient=patient, files=[receipt.incoming])
    assert Study.objects.get().performed_at == dt.datetime(2026, 7, 1, 7, 30, tzinfo=dt.UTC)


def test_pictures_without_a_header_make_one_new_study(doctor, site, patient):
    files = [receive(doctor, site, phantom_png(seed, **SMALL), f"{seed}.png").incoming for seed in (1, 2)]
    study_submit(actor=doctor, patient=patient, files=files, study_description="Chest PA")
    study = Study.objects.get()
    assert study.images.count() == 2
    assert study.study_instance_uid.startswith("2.25.")


def test_an_image_cannot_have_been_taken_in_the_future(doctor, site, patient):
    incoming = receive(doctor, site, phantom_png(1, **SMALL), "1.png").incoming
    with pytest.raises(ValidationError, match="future"):
        study_submit(
            actor=doctor,
            patient=patient,
            files=[incoming],
            performed_at=timezone.now() + dt.timedelta(hours=1),
        )
    assert IncomingFile.objects.count() == 1


def test_the_same_bytes_are_stored_once(doctor, site, patient, stored_files, monkeypatch):
    content = dicom()
    [first] = study_submit(actor=doctor, patient=patient, files=[receive(doctor, site, content).incoming])
    before = stored_files()
    monkeypatch.setattr("diagnosis.intake.receive.examine_apart", None)  # Known bytes are not decoded again.
    again = receive(doctor, site, content, "renamed.dcm")
    assert (again.outcome, again.image) == (FileOutcome.DUPLICATE, first.image)
    assert stored_files() == before


def test_another_picture_under_a_stored_sop_instance_uid_is_held_and_the_first_one_kept(
    doctor, site, patient, stored_files
):
    uid = "1.2.3.9"
    [first] = study_submit(
        actor=doctor, patient=patient, files=[receive(doctor, site, dicom(1, sop_instance_uid=uid)).incoming]
    )
    before = stored_files()
    again = receive(doctor, site, dicom(2, sop_instance_uid=uid))
    assert (again.outcome, again.code, again.image) == (FileOutcome.HELD, "other_pixels", first.image)
    assert set(before) < set(stored_files())
    assert not IncomingFile.objects.exists()


def test_two_waiting_files_with_one_sop_instance_uid_do_not_both_become_images(doctor, site, patient):
    uid = "1.2.3.9"
    files = [receive(doctor, site, dicom(seed, sop_instance_uid=uid)).incoming for seed in (1, 2)]
    first, second = study_submit(actor=doctor, patient=patient, files=files)
    assert (first.outcome, second.outcome) == (FileOutcome.STORED, FileOutcome.HELD)
    assert second.held.image == first.image
    assert default_storage.exists(second.held.file.name)
    assert not IncomingFile.objects.exists()


def test_a_file_dropped_twice_waits_once(doctor, site, stored_files):
    first, second = (receive(doctor, site, dicom()) for _ in range(2))
    assert first.incoming == second.incoming
    assert len(stored_files()) == 3


def test_two_people_who_bring_the_same_file_store_it_once(
    doctor, radiologist, site, patient, stored_files, django_capture_on_commit_callbacks
):
    content = dicom()
    mine, theirs = (receive(person, site, content).incoming for person in (doctor, radiologist))
    study_submit(actor=doctor, patient=patient, files=[mine])
    with django_capture_on_commit_callbacks(execute=True):
        [receipt] = study_submit(actor=radiologist, patient=patient, files=[theirs])
    assert receipt.outcome is FileOutcome.DUPLICATE
    assert Image.objects.count() == 1
    assert len(stored_files()) == 3


def test_another_hospital_is_not_told_of_this_ones_files(doctor, outsider, site, other_site, patient):
    content = dicom()
    study_submit(actor=doctor, patient=patient, files=[receive(doctor, site, content).incoming])
    assert receive(outsider, other_site, content).outcome is FileOutcome.WAITING


def test_a_file_that_names_another_patient_is_held_until_a_person_says_they_are_the_same(
    doctor, site, patient
):
    receipt = receive(doctor, site, dicom(patient_name="Other^Olga"))
    [difference] = patient_differences(patient, receipt.incoming.header)
    assert (difference.in_file, difference.on_record) == ("Other^Olga", "Example^Ana")
    with pytest.raises(NotPossible, match="differs from the chosen patient"):
        study_submit(actor=doctor, patient=patient, files=[receipt.incoming])
    assert not Study.objects.exists()
    [stored] = study_submit(
        actor=doctor, patient=patient, files=[receipt.incoming], differences_accepted=True
    )
    assert stored.outcome is FileOutcome.STORED


def test_a_study_is_never_moved_to_another_patient(doctor, site, patient):
    study_submit(
        actor=doctor,
        patient=patient,
        files=[receive(doctor, site, dicom(1, study_instance_uid="1.2.5")).incoming],
    )
    other = PatientFactory(site=site)
    incoming = receive(doctor, site, dicom(2, study_instance_uid="1.2.5")).incoming
    with pytest.raises(NotPossible, match="study of another patient"):
        study_submit(actor=doctor, patient=other, files=[incoming], differences_accepted=True)
    assert Image.objects.count() == 1
    assert IncomingFile.objects.count() == 1


def test_a_study_that_was_read_opens_again_when_an_image_is_added(doctor, site, patient):
    study = StudyFactory(patient=patient, study_instance_uid="1.2.6", status="read")
    ModelVersionFactory()
    incoming = receive(doctor, site, dicom(study_instance_uid="1.2.6")).incoming
    study_submit(actor=doctor, patient=patient, files=[incoming])
    study.refresh_from_db()
    assert study.is_being_analysed


def test_a_refused_file_leaves_nothing_but_the_event_that_it_was_refused(doctor, site, stored_files):
    receipt = receive(doctor, site, b"hello", "report.dcm")
    assert (receipt.outcome, receipt.file_name) == (FileOutcome.REFUSED, "report.dcm")
    assert receipt.reason
    assert not IncomingFile.objects.exists()
    assert stored_files() == []
    assert AuditEvent.objects.get(action="file_refused").succeeded is False


def test_a_file_over_the_limit_is_refused_before_it_is_read(doctor, site, settings):
    settings.CXR_MAX_UPLOAD_BYTES = 1024 * 1024
    receipt = receive(doctor, site, b"\0" * (1024 * 1024 + 1))
    assert "larger than the limit of 1 MB" in receipt.reason


def test_a_limit_on_pixels_holds_for_the_upload_and_the_worker_alike(doctor, site, settings):
    settings.CXR_MAX_PIXELS = 128 * 120 - 1
    content = dicom()
    assert receive(doctor, site, content).code == "too_many_pixels"
    with pytest.raises(ImageRefused, match="15,359 pixels"):
        inference.read(content)
    settings.CXR_MAX_PIXELS += 1
    assert receive(doctor, site, content).outcome is FileOutcome.WAITING


def test_a_row_that_cannot_be_written_leaves_no_files(doctor, site, stored_files, monkeypatch):
    def broken(**_):
        raise RuntimeError("database gone")

    monkeypatch.setattr("diagnosis.intake.receive.incoming_file_add", broken)
    with pytest.raises(RuntimeError):
        receive(doctor, site, dicom())
    assert stored_files() == []


def test_discarding_a_file_removes_its_row_and_its_files(
    doctor, site, stored_files, django_capture_on_commit_callbacks
):
    incoming = receive(doctor, site, dicom()).incoming
    with django_capture_on_commit_callbacks(execute=True):
        incoming_file_discard(actor=doctor, incoming=incoming)
    assert not IncomingFile.objects.exists()
    assert stored_files() == []


def test_a_file_that_was_stored_meanwhile_is_not_thrown_away(
    doctor, site, patient, stored_files, django_capture_on_commit_callbacks
):
    incoming = receive(doctor, site, dicom()).incoming
    late = IncomingFile.objects.get(pk=incoming.pk)
    study_submit(actor=doctor, patient=patient, files=[incoming])
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(Conflict, match="meanwhile"):
        incoming_file_discard(actor=doctor, incoming=late)
    assert len(stored_files()) == 3


def test_only_its_uploader_confirms_or_discards_a_file(doctor, radiologist, site, patient):
    incoming = receive(doctor, site, dicom()).incoming
    with pytest.raises(PermissionDenied):
        study_submit(actor=radiologist, patient=patient, files=[incoming])
    with pytest.raises(PermissionDenied):
        incoming_file_discard(actor=radiologist, incoming=incoming)
    assert IncomingFile.objects.count() == 1


@pytest.mark.parametrize("person", ["admin", "outsider"])
def test_those_who_may_not_upload_leave_nothing(person, site, request, stored_files):
    with pytest.raises(PermissionDenied):
        receive(request.getfixturevalue(person), site, dicom())
    assert stored_files() == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.dcm", "passwd.dcm"),
        ("C:\\images\\chest.dcm", "chest.dcm"),
        ("a\x00b\n.dcm", "ab.dcm"),
        ("\u202egnp.exe", "gnp.exe"),
        ("胸部.dcm", "胸部.dcm"),
        ("", "unnamed file"),
        ("x" * 300, "x" * 255),
    ],
)
def test_a_file_name_is_shown_harmless_and_never_used_as_a_path(name, shown):
    assert shown_name(name) == shown


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "山田^太郎", "مثال^ليلى", "Müller^Jörg"])
def test_names_in_any_script_are_kept_faithfully(doctor, site, name):
    assert patient_create(actor=doctor, site=site, mrn="N-1", person_name=name).person_name == name


def test_a_record_number_names_one_patient_of_a_hospital(doctor, site, patient):
    with pytest.raises(ValidationError, match="exists already"):
        patient_create(actor=doctor, site=site, mrn="MRN-1")
    assert Patient.objects.count() == 1


@pytest.mark.parametrize("birth_date", [timezone.localdate() + dt.timedelta(days=2), dt.date(1850, 1, 1)])
def test_a_birth_date_that_cannot_be_true_is_refused(doctor, site, birth_date):
    with pytest.raises(ValidationError) as error:
        patient_create(actor=doctor, site=site, mrn="N-2", birth_date=birth_date)
    assert "birth_date" in error.value.message_dict
