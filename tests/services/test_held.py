"""Held files: an administrator decides once, and both sides stay visible until then."""

import hashlib
import io

import pydicom
import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.storage import default_storage
from django.utils import timezone

from diagnosis.errors import Conflict, NotPossible
from diagnosis.intake.new_uid import with_new_uid
from diagnosis.intake.unattended import Road, receive_unattended
from diagnosis.models import AuditEvent, Image, Patient, Prediction
from diagnosis.services.held import (
    decode_crash_record,
    decode_crashes,
    held_file_assign,
    held_file_attach,
    held_file_discard,
)
from diagnosis.services.studies import FileOutcome
from ml.imaging import load_image
from ml.phantom import TRANSFER_SYNTAXES
from tests.factories import ModelVersionFactory, PatientFactory
from tests.ml.imaging.files import deflated
from tests.web.files import dicom


def receive(actor, site, content):
    return receive_unattended(actor=actor, site=site, content=content, name="x.dcm", road=Road.STOW)


@pytest.fixture
def ana(site):
    return PatientFactory(site=site, mrn="MRN-1", person_name="Example^Ana", birth_date=None, sex="F")


@pytest.fixture
def held(ana, doctor, site):
    """Olga's image under Ana's record number."""
    return receive(doctor, site, dicom(patient_name="Other^Olga")).held


@pytest.fixture
def other_pixels(ana, doctor, site):
    receive(doctor, site, dicom(1, sop_instance_uid="1.2.3.9"))
    return receive(doctor, site, dicom(2, sop_instance_uid="1.2.3.9")).held


def test_attached_it_is_an_image_of_the_patient_on_record_and_is_analysed(admin, held, ana, doctor):
    ModelVersionFactory()
    image = held_file_attach(actor=admin, held=held)
    assert image.study.patient == ana
    assert (image.uploaded_by, image.road, image.sha256) == (doctor, "stow", held.sha256)
    assert Prediction.objects.get().image == image
    held.refresh_from_db()
    assert (held.resolution, held.resolved_by, held.stored_as) == ("attached", admin, image)
    assert held.resolved_at is not None
    ana.refresh_from_db()
    assert ana.person_name == "Example^Ana"
    event = AuditEvent.objects.get(action="held_file_resolved")
    assert (event.actor, event.patient, event.details["image"]) == (admin, ana, str(image.pk))
    assert event.details["resolution"] == "attached"


def test_it_may_be_another_patient_on_record(admin, held, site):
    olga = PatientFactory(site=site, mrn="MRN-2")
    assert held_file_assign(actor=admin, held=held, mrn=" MRN-2 ").study.patient == olga
    held.refresh_from_db()
    assert held.resolution == "other_patient"


def test_it_may_be_a_patient_who_was_not_on_record(admin, held, site):
    patient = held_file_assign(actor=admin, held=held, mrn="MRN-3").study.patient
    assert (patient.mrn, patient.person_name, patient.site) == ("MRN-3", "Other^Olga", site)
    assert AuditEvent.objects.get(action="patient_created").actor == admin


def test_a_record_number_is_needed(admin, held):
    with pytest.raises(NotPossible, match="record number"):
        held_file_assign(actor=admin, held=held, mrn="  ")


def test_discarded_it_leaves_neither_bytes_nor_what_it_said(admin, held, django_capture_on_commit_callbacks):
    names = held.stored_names
    with django_capture_on_commit_callbacks(execute=True):
        held_file_discard(actor=admin, held=held)
    held.refresh_from_db()
    assert (held.resolution, held.stored_names, held.header) == ("discarded", [], {})
    assert not any(default_storage.exists(name) for name in names)
    assert not Image.objects.exists()


def test_once_discarded_the_same_file_may_come_again_and_is_held_again(admin, held, doctor, site):
    held_file_discard(actor=admin, held=held)
    again = receive(doctor, site, dicom(patient_name="Other^Olga"))
    assert again.outcome is FileOutcome.HELD
    assert again.held != held


@pytest.mark.parametrize(
    "decide",
    [
        lambda actor, held: held_file_attach(actor=actor, held=held),
        lambda actor, held: held_file_assign(actor=actor, held=held, mrn="MRN-5"),
        lambda actor, held: held_file_discard(actor=actor, held=held),
    ],
    ids=["attach", "assign", "discard"],
)
def test_the_second_who_decides_is_told_of_the_first(admin, held, decide):
    held_file_attach(actor=admin, held=held)
    with pytest.raises(Conflict, match="decided about this file before: stored with the patient on record"):
        decide(admin, held)
    assert Image.objects.count() == 1


@pytest.mark.parametrize("person", ["doctor", "radiologist", "outsider"])
def test_only_an_administrator_of_the_site_decides(held, person, request):
    user = request.getfixturevalue(person)
    for decide in (
        lambda: held_file_attach(actor=user, held=held),
        lambda: held_file_assign(actor=user, held=held, mrn="MRN-2"),
        lambda: held_file_discard(actor=user, held=held),
    ):
        with pytest.raises(PermissionDenied):
            decide()
    held.refresh_from_db()
    assert held.is_open


def stored_bytes(image) -> bytes:
    with image.file.open("rb") as file:
        return file.read()


def test_another_picture_under_a_known_uid_is_stored_as_a_copy_with_a_uid_of_its_own(
    admin, other_pixels, radiologist
):
    ModelVersionFactory()
    first = Image.objects.get()
    before, came = (stored_bytes(first), first.header), stored_bytes(other_pixels)
    image = held_file_attach(actor=admin, held=other_pixels)
    kept, copy = pydicom.dcmread(io.BytesIO(came)), pydicom.dcmread(io.BytesIO(stored_bytes(image)))
    # A new instance, which says what it was.
    assert image.sop_instance_uid == copy.SOPInstanceUID == copy.file_meta.MediaStorageSOPInstanceUID
    assert image.header["sop_instance_uid"] == image.sop_instance_uid != first.sop_instance_uid == "1.2.3.9"
    [change] = copy.OriginalAttributesSequence
    assert change.ModifiedAttributesSequence[0].SOPInstanceUID == "1.2.3.9"
    assert (change.ReasonForTheAttributeModification, change.ModifyingSystem) == ("CORRECT", "CXR Portal")
    # The same picture, of the same study, analysed by itself.
    assert copy.PixelData == kept.PixelData
    assert image.study.study_instance_uid == kept.StudyInstanceUID
    assert image.sha256 == hashlib.sha256(stored_bytes(image)).hexdigest()
    assert Prediction.objects.get().image == image
    # What a read of the first one saw is what is there, and so are the bytes that came.
    first.refresh_from_db()
    assert (stored_bytes(first), first.header) == before
    other_pixels.refresh_from_db()
    assert (other_pixels.resolution, other_pixels.stored_as) == ("attached", image)
    assert stored_bytes(other_pixels) == came


def test_a_copy_with_a_uid_of_its_own_is_not_held_again_when_its_sender_sends_it_again(
    admin, other_pixels, doctor, site
):
    image = held_file_attach(actor=admin, held=other_pixels)
    again = receive(doctor, site, dicom(2, sop_instance_uid="1.2.3.9"))
    assert (again.outcome, again.image) == (FileOutcome.DUPLICATE, image)
    assert Image.objects.count() == 2


def test_another_picture_under_a_known_uid_may_be_another_patients(admin, ana, doctor, site):
    receive(doctor, site, dicom(1, sop_instance_uid="1.2.3.9", study_instance_uid="1.2.6"))
    held = receive(
        doctor,
        site,
        dicom(2, sop_instance_uid="1.2.3.9", study_instance_uid="1.2.7", patient_name="Other^Olga"),
    ).held
    image = held_file_assign(actor=admin, held=held, mrn="MRN-2")
    assert (image.study.patient.mrn, image.study.patient.person_name) == ("MRN-2", "Other^Olga")
    assert Image.objects.filter(study__patient=ana).count() == 1


@pytest.mark.parametrize(
    "syntax", [*TRANSFER_SYNTAXES, None], ids=lambda syntax: getattr(syntax, "name", "deflated")
)
def test_a_copy_with_a_uid_of_its_own_shows_the_same_in_every_transfer_syntax(syntax):
    options = {"transfer_syntax": syntax, "bits_stored": 8} if syntax else {}
    content = dicom(2, **options) if syntax else deflated(dicom(2))
    copy, uid = with_new_uid(content, at=timezone.now())
    assert pydicom.dcmread(io.BytesIO(copy)).SOPInstanceUID == uid
    assert (load_image(copy).pixels == load_image(content).pixels).all()
    assert load_image(copy).transfer_syntax == load_image(content).transfer_syntax


def test_where_no_copy_can_be_made_nothing_is_decided_and_nothing_left(
    admin, other_pixels, monkeypatch, private_media
):
    before = sorted(private_media.rglob("*"))
    monkeypatch.setattr("diagnosis.services.held.with_new_uid", None)
    with pytest.raises(NotPossible, match="Discard it, and ask the sender"):
        held_file_attach(actor=admin, held=other_pixels)
    monkeypatch.undo()

    def lost(**_):
        raise RuntimeError

    monkeypatch.setattr("diagnosis.services.held.image_add", lost)
    with pytest.raises(RuntimeError):
        held_file_attach(actor=admin, held=other_pixels)
    other_pixels.refresh_from_db()
    assert other_pixels.is_open
    assert sorted(private_media.rglob("*")) == before


def test_the_same_picture_under_another_patients_name_is_never_stored_twice(admin, ana, doctor, site):
    receive(doctor, site, dicom(1, sop_instance_uid="1.2.3.9"))
    held = receive(doctor, site, dicom(1, sop_instance_uid="1.2.3.9", patient_name="Other^Olga")).held
    for decide in (
        lambda: held_file_assign(actor=admin, held=held, mrn="MRN-2"),
        lambda: held_file_attach(actor=admin, held=held),
    ):
        with pytest.raises(NotPossible, match="one picture is never kept as two patients'"):
            decide()
    held_file_discard(actor=admin, held=held)
    assert Image.objects.count() == 1


def test_a_file_without_a_record_number_needs_one_named(admin, doctor, site, ana):
    held = receive(doctor, site, dicom(patient_id="")).held
    with pytest.raises(NotPossible, match="Name the patient"):
        held_file_attach(actor=admin, held=held)
    assert held_file_assign(actor=admin, held=held, mrn="MRN-1").study.patient == ana


def test_a_study_of_somebody_else_takes_the_file_only_for_its_own_patient(admin, doctor, site, ana):
    receive(doctor, site, dicom(1, study_instance_uid="1.2.5"))
    held = receive(doctor, site, dicom(2, study_instance_uid="1.2.5", patient_id="MRN-2")).held
    with pytest.raises(NotPossible, match="study of another patient"):
        held_file_assign(actor=admin, held=held, mrn="MRN-2")
    assert not Patient.objects.filter(mrn="MRN-2").exists()
    assert held_file_attach(actor=admin, held=held).study.patient == ana


def test_what_was_stored_meanwhile_is_not_stored_twice(admin, doctor, site, ana, held):
    Patient.objects.filter(pk=ana.pk).update(person_name="Other^Olga")
    held_copy = receive(doctor, site, dicom(patient_name="Other^Olga"))
    assert held_copy.held == held  # The same bytes wait for the decision, whatever the record says by now.
    held_file_attach(actor=admin, held=held)
    assert receive(doctor, site, dicom(patient_name="Other^Olga")).outcome is FileOutcome.DUPLICATE


def test_crashes_are_counted_for_each_file(db):
    assert decode_crashes("a" * 64) == 0
    assert [decode_crash_record("a" * 64) for _ in range(2)] == [1, 2]
    assert decode_crashes("b" * 64) == 0
