"""Roads on which nobody looks at a file between its arrival and the record."""

import pytest
from django.core.exceptions import PermissionDenied

from diagnosis.intake.unattended import Road, receive_unattended
from diagnosis.models import Image, IncomingFile
from diagnosis.services.studies import FileOutcome
from tests.web.files import dicom, png


def receive(actor, site, content, name="chest.dcm"):
    return receive_unattended(actor=actor, site=site, content=content, name=name, road=Road.C_STORE)


def test_a_dicom_file_is_stored_for_the_patient_that_it_names(doctor, site):
    receipt = receive(doctor, site, dicom(patient_id="MRN-7"))
    assert receipt.outcome is FileOutcome.STORED
    assert receipt.image.study.patient.mrn == "MRN-7"
    assert not IncomingFile.objects.exists()


def test_a_file_is_read_from_its_path(doctor, site, tmp_path):
    path = tmp_path / "chest.dcm"
    path.write_bytes(dicom())
    assert receive(doctor, site, path).outcome is FileOutcome.STORED


def test_the_same_bytes_twice_are_stored_once(doctor, site):
    first, again = receive(doctor, site, dicom()), receive(doctor, site, dicom())
    assert again.outcome is FileOutcome.DUPLICATE
    assert again.image == first.image
    assert Image.objects.count() == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "empty_file"), (b"no image", "unknown_kind"), (png(), "patient_not_named")],
)
def test_what_cannot_be_stored_is_refused_with_code_and_sentence(doctor, site, content, code):
    receipt = receive(doctor, site, content)
    assert (receipt.outcome, receipt.code) == (FileOutcome.REFUSED, code)
    assert receipt.reason


def test_a_path_that_cannot_be_read_is_refused(doctor, site, tmp_path):
    assert receive(doctor, site, tmp_path / "gone.dcm").code == "technical_error"


def test_an_outsider_stores_nothing(outsider, site):
    with pytest.raises(PermissionDenied):
        receive(outsider, site, dicom())
