"""What a file says reaches the record as DICOM has it; and what cannot be read is named."""

import datetime as dt
from io import BytesIO

import pydicom
import pytest
from pydicom import uid

from diagnosis.models import Image
from diagnosis.services.studies import FileOutcome
from ml.imaging.decoders import CODECS
from ml.phantom import to_file
from tests.intake.test_rules import changed
from tests.ml.imaging.files import QUIET
from tests.web.files import dicom

pytestmark = QUIET

#: Specific Character Set (PS3.3 C.12.1.1.2), and a name in it.
NAMES = {
    "ISO_IR 100": ("ISO_IR 100", "Müñoz-Ångström^Zoë^^Dr.^Jr."),
    "ISO_IR 192": ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
    "ISO 2022 IR 87": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "ISO 2022 IR 149": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
}


@pytest.mark.parametrize("charset", NAMES)
def test_a_name_keeps_its_components_and_its_letters(receive, charset):
    term, name = NAMES[charset]
    content = dicom(patient_name=name, elements={"SpecificCharacterSet": term})
    assert pydicom.dcmread(BytesIO(content)).PatientName == name
    assert receive(content).outcome is FileOutcome.STORED
    image = Image.objects.get()
    assert image.study.patient.person_name == image.header["patient_name"] == name
    # The same person again, whatever the next device can write.
    assert receive(
        dicom(2, patient_name=name.split("=")[0], elements={"SpecificCharacterSet": "ISO_IR 192"})
    ).image


def test_times_age_orientation_laterality_view_and_spacing_are_the_files_own(receive, site):
    content = changed(
        dicom(view_position="AP"),
        StudyDate="20260329",
        StudyTime="013000.250000",
        PatientAge="067Y",
        PatientOrientation=["L", "F"],
        ImageLaterality="U",
        PixelSpacing=[0.139, 0.140],
        ImagerPixelSpacing=[0.150, 0.151],
    )
    assert receive(content).outcome is FileOutcome.STORED
    image = Image.objects.get()
    header = image.header
    assert (header["study_date"], header["study_time"]) == ("2026-03-29", "01:30:00.250000")
    assert header["patient_age"] == "067Y"
    assert header["patient_orientation"] == "L\\F"
    assert (image.laterality, image.view_position) == ("U", "AP")
    assert header["pixel_spacing"] == [0.139, 0.140]
    assert header["imager_pixel_spacing"] == [0.150, 0.151]
    # Half an hour before the clocks of the hospital (Europe/Madrid) go forward.
    assert image.study.performed_at == dt.datetime(2026, 3, 29, 0, 30, 0, 250_000, tzinfo=dt.UTC)
    with image.file.open("rb") as file:
        assert file.read() == content


READ = {
    "ImplicitVRLittleEndian", "ExplicitVRLittleEndian", "ExplicitVRBigEndian", "DeflatedExplicitVRLittleEndian", "RLELossless",
    "JPEGBaseline8Bit", "JPEGExtended12Bit", "JPEGLossless", "JPEGLosslessSV1", "JPEGLSLossless", "JPEGLSNearLossless",
    "JPEG2000Lossless", "JPEG2000",
}  # fmt: skip
UNREAD = [syntax for syntax in uid.AllTransferSyntaxes if syntax.keyword not in READ]


def test_every_transfer_syntax_of_plain_films_is_read():
    assert {syntax.keyword for syntax in map(uid.UID, CODECS)} | {"DeflatedExplicitVRLittleEndian"} == READ
    assert len(UNREAD) > 15


@pytest.mark.parametrize("syntax", UNREAD, ids=lambda syntax: syntax.keyword)
def test_each_of_the_others_is_named_in_the_refusal(receive, syntax):
    ds = pydicom.dcmread(BytesIO(dicom()))
    receipt = receive(to_file_as(ds, syntax))
    assert (receipt.outcome, receipt.code) == (FileOutcome.REFUSED, "unsupported_transfer_syntax")
    assert syntax.name in receipt.reason
    assert not Image.objects.exists()


def to_file_as(ds, syntax) -> bytes:
    """The file says so; its pixels nobody reads."""
    content = to_file(ds, uid.ExplicitVRLittleEndian)
    said = pydicom.filebase.DicomBytesIO()
    meta = pydicom.dcmread(BytesIO(content)).file_meta
    meta.TransferSyntaxUID = syntax
    said.write(bytes(128) + b"DICM")
    pydicom.filewriter.write_file_meta_info(said, meta)
    return said.getvalue() + content[content.index(b"\x08\x00\x05\x00", 132) :]
