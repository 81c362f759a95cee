"""One drawn chest, in every kind of file, is one picture."""

import subprocess
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom import uid

from ml.imaging import load_image
from ml.phantom import PATIENTS, TRANSFER_SYNTAXES, WARNING, Greys, phantom_dicom, phantom_png, write_demo_set
from tests.ml.imaging.files import peer

SIZE = {"rows": 96, "columns": 84}
SEED = 11
LOSSY = (uid.JPEG2000, uid.JPEGBaseline8Bit)
EIGHT_BITS_UNSIGNED = uid.JPEGBaseline8Bit


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return load_image(phantom_png(SEED, **SIZE)).pixels


def difference(picture: np.ndarray, **options) -> float:
    image = load_image(phantom_dicom(SEED, **SIZE, **options))
    assert image.bits_stored == options["bits_stored"]
    return float(np.abs(image.pixels - picture).max())


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits_stored", [8, 12, 15, 16])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_every_encoding_loads_to_the_same_picture(picture, transfer_syntax, photometric, bits_stored, signed):
    if transfer_syntax == EIGHT_BITS_UNSIGNED and (bits_stored > 8 or signed):
        with pytest.raises(ValueError, match="JPEG Baseline"):
            phantom_dicom(
                SEED, **SIZE, transfer_syntax=transfer_syntax, bits_stored=bits_stored, signed=signed
            )
        return
    # The PNG that it is compared with is rounded to 8 bits.
    tolerance = 0.04 if transfer_syntax in LOSSY else 1 / 255
    assert tolerance > difference(
        picture,
        transfer_syntax=transfer_syntax,
        photometric=photometric,
        bits_stored=bits_stored,
        signed=signed,
    )


@pytest.mark.parametrize("greys", Greys)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize(
    "transfer_syntax",
    [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian],
    ids=["implicit", "explicit", "big endian"],
)
def test_every_grey_scale_loads_to_the_same_picture(picture, greys, photometric, signed, transfer_syntax):
    bits = 8 if greys is Greys.STORED_RANGE else 12
    assert (
        difference(
            picture,
            greys=greys,
            photometric=photometric,
            signed=signed,
            transfer_syntax=transfer_syntax,
            bits_stored=bits,
        )
        < 0.006
    )


def test_the_same_arguments_give_the_same_file_and_others_another_identity():
    first, again = phantom_dicom(1, **SIZE), phantom_dicom(1, **SIZE)
    assert first == again
    ds = pydicom.dcmread(BytesIO(first))
    other = pydicom.dcmread(BytesIO(phantom_dicom(1, **SIZE, bits_stored=16)))
    assert ds.SOPInstanceUID != other.SOPInstanceUID
    assert ds.StudyInstanceUID == other.StudyInstanceUID
    assert ds.StudyInstanceUID != pydicom.dcmread(BytesIO(phantom_dicom(2, **SIZE))).StudyInstanceUID


def test_a_file_says_what_it_was_asked_to_say():
    content = phantom_dicom(
        1,
        **SIZE,
        patient_name="وهمي^مرسوم",
        patient_id="D-7",
        patient_birth_date="19720229",
        patient_sex="F",
        accession_number="A1",
        study_instance_uid="1.2.3",
        sop_instance_uid="1.2.3.4",
        study_date="20210203",
        study_time="0405",
        view_position="AP",
        elements={"InstitutionName": None, "Manufacturer": "Another"},
    )
    ds = pydicom.dcmread(BytesIO(content))
    assert str(ds.PatientName) == "وهمي^مرسوم"
    assert (ds.PatientID, ds.PatientBirthDate, ds.PatientSex) == ("D-7", "19720229", "F")
    assert (ds.AccessionNumber, ds.StudyDate, ds.StudyTime) == ("A1", "20210203", "0405")
    assert (ds.StudyInstanceUID, ds.SOPInstanceUID, ds.ViewPosition) == ("1.2.3", "1.2.3.4", "AP")
    assert "InstitutionName" not in ds
    assert ds.Manufacturer == "Another"


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES, ids=lambda syntax: syntax.name)
def test_dcmtk_reads_the_whole_file_without_complaint(tmp_path, transfer_syntax):
    path = tmp_path / "drawn.dcm"
    bits = 8 if transfer_syntax == EIGHT_BITS_UNSIGNED else 12
    path.write_bytes(phantom_dicom(1, **SIZE, transfer_syntax=transfer_syntax, bits_stored=bits))
    assert (
        subprocess.run([peer("dcmftest"), path], capture_output=True, text=True, check=False).returncode == 0
    )
    dump = subprocess.run([peer("dcmdump"), "+E", path], capture_output=True, text=True, check=True)
    assert not dump.stderr
    assert transfer_syntax.name.split(" (")[0].replace(" ", "")[:7] in dump.stdout.replace(" ", "")


def test_the_demo_set_is_varied_loads_whole_and_names_invented_patients_alone(tmp_path):
    paths = write_demo_set(tmp_path / "demo", 12, rows=96, columns=84)
    assert len({path.name for path in paths}) == 12
    images = [load_image(path) for path in paths]
    assert {image.kind for image in images} == {"dicom", "png", "jpeg"}
    assert {image.photometric_interpretation for image in images} >= {"MONOCHROME1", "MONOCHROME2"}
    assert len({image.transfer_syntax for image in images}) >= 7
    files = [pydicom.dcmread(path) for path in paths if path.suffix == ".dcm"]
    assert {str(ds.PatientName) for ds in files} <= {patient.name for patient in PATIENTS}
    assert len({ds.SOPInstanceUID for ds in files}) == len(files)
    again = write_demo_set(tmp_path / "again", 12, rows=96, columns=84)
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    assert "NOT A PATIENT" in WARNING
