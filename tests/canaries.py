"""Files full of values that must not be found again, and where they are looked for."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import pydicom
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit
from rest_framework.test import APIClient

from diagnosis.intake.deidentification.rules import listed
from diagnosis.models import Image
from diagnosis.services.tokens import token_issue
from ml.imaging import load_image
from ml.phantom import phantom_dicom, to_file

#: In every planted value there is one of these; upper and lower case count the same.
CANARIES = (b"canary", b"770713")
MRN = "CANARY-MRN"
STUDY_UID = "1.2.770713.1"

_VALUES = {
    **dict.fromkeys(("AE", "CS"), "CANARY"),
    **dict.fromkeys(("LO", "SH"), "A canary"),
    **dict.fromkeys(("LT", "ST", "UC", "UT"), "A canary in a longer text"),
    "PN": "Canary^Carla",
    "AS": "077Y",
    "DA": "19770713",
    "DT": "19770713071307",
    "TM": "071307.770713",
    "UR": "http://canary.example",
    "DS": "770713",
    "IS": "770713",
    **dict.fromkeys(("OB", "UN"), b"a CANARY"),
    "US": 7707,
}
#: Of these values the bytes are too short to be looked for: the element itself is.
_SHORT = ("AS", "US")


def plantable() -> list[BaseTag]:
    """Every attribute of PS3.15 Table E.1-1 that pydicom knows and a data set may hold."""
    tags = [Tag(tag) for tag in sorted(listed())]
    return [tag for tag in tags if dictionary_has_tag(tag) and tag.group > 4]


def planted(seed: int = 1, *, syntax: UID = ExplicitVRLittleEndian, **elements: object) -> bytes:
    """A chest X-ray of Carla Canary: each attribute of the table, private and unknown ones, also inside sequences that stay."""
    content = phantom_dicom(
        seed,
        rows=64,
        columns=60,
        patient_id=MRN,
        patient_name="Canary^Carla",
        study_instance_uid=STUDY_UID,
        transfer_syntax=syntax,
        bits_stored=8 if syntax == JPEGBaseline8Bit else 12,
    )
    ds = pydicom.dcmread(BytesIO(content))
    _plant(ds)
    item = Dataset()
    _plant(item)
    deeper = Dataset()
    _plant(deeper)
    item.AnatomicRegionModifierSequence = Sequence([deeper])
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "51185008", "SCT", "Chest"
    ds.AnatomicRegionSequence = Sequence([item])
    ds.PatientID, ds.PatientSex, ds.PatientName = MRN, "F", "Canary^Carla"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY_UID, "1.2.770713.2"
    ds.SOPInstanceUID = f"1.2.770713.3.{seed}"
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    ds.preamble = b"canary".ljust(128, b"\x00")
    ds.file_meta.SourceApplicationEntityTitle = "CANARY"
    file = pydicom.dcmread(BytesIO(to_file(ds, syntax)))
    file.preamble = b"canary".ljust(128, b"\x00")
    file.file_meta.SourceApplicationEntityTitle = "CANARY"
    file.file_meta.PrivateInformationCreatorUID = "1.2.770713.4"
    file.file_meta.PrivateInformation = b"a CANARY"
    out = BytesIO()
    file.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _plant(ds: Dataset) -> None:
    for number, tag in enumerate(plantable()):
        vr = dictionary_VR(tag)
        if vr == "SQ":
            item = Dataset()
            item.PatientName = _VALUES["PN"]
            value: object = Sequence([item])
        else:
            value = f"1.2.770713.9.{number}" if vr == "UI" else _VALUES[vr]
        ds.add(DataElement(tag, vr, value))
    block = ds.private_block(0x0011, "CANARY HEALTH", create=True)
    block.add_new(0x01, "LO", "A canary")
    block.add_new(0x02, "SQ", Sequence([Dataset()]))
    ds.add(DataElement(0x00080002, "LO", "A canary"))  # Unknown to the data dictionary.
    ds.add(DataElement(0x60000010, "US", 8))
    ds.add(DataElement(0x60003000, "OW", b"a CANARY"))
    ds.add(DataElement(0x60004000, "LT", "A canary"))
    ds.add(DataElement(0x50003000, "OW", b"a CANARY"))


def canaries_in(content: bytes) -> list[bytes]:
    return [canary for canary in CANARIES if canary in content.lower()]


def assert_copy_is_clean(original: bytes, copy: bytes) -> None:
    """No canary, the same picture to the last byte, and a file that says what it is."""
    assert canaries_in(original) == list(CANARIES)
    assert canaries_in(copy) == []
    before, after = (pydicom.dcmread(BytesIO(content)) for content in (original, copy))
    if after.file_meta.TransferSyntaxUID.is_encapsulated:
        assert len(after.PixelData) == len(before.PixelData)  # Comments in it are blanked.
    else:
        assert after.PixelData == before.PixelData
    assert np.array_equal(load_image(copy).pixels, load_image(original).pixels)
    assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
    assert after.PatientIdentityRemoved == "YES"
    assert [code.CodeValue for code in after.DeidentificationMethodCodeSequence] == ["113100"]
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
    assert (after.PatientID, after.PatientName, after.StudyDate) == ("", "", "")
    for element in after.iterall():
        assert not element.tag.is_private
        if element.VR in _SHORT:
            assert element.value not in (_VALUES["AS"], _VALUES["US"]), element.keyword
        if element.VR == "UI":
            for uid in [element.value] if isinstance(element.value, str) else element.value:
                assert UID(uid).is_valid, element.keyword


def assert_image_is_clean(image: Image, original: bytes) -> None:
    """The stored file, its pictures, its record, and all that DICOMweb says of it to a person who may see it."""
    assert image.is_deidentified
    with image.file.open("rb") as file:
        assert_copy_is_clean(original, file.read())
    assert canaries_in(json.dumps(image.header).encode()) == []
    assert (image.header["patient_name"], image.header["study_date"]) == ("", None)
    assert (
        canaries_in(f"{image.sop_instance_uid} {image.series_instance_uid} {image.file.name}".encode()) == []
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token_issue(user=image.uploaded_by).secret}")
    study = f"/dicom-web/studies/{image.study.study_instance_uid}"
    instance = f"{study}/series/{image.series_instance_uid}/instances/{image.sop_instance_uid}"
    answers = [
        "/dicom-web/studies?includefield=all",
        "/dicom-web/series?includefield=all",
        "/dicom-web/instances?includefield=all",
        *(f"{study}{part}" for part in ("", "/metadata", "/series?includefield=all")),
        *(f"{instance}{part}" for part in ("", "/metadata", "/frames/1", "/rendered", "/thumbnail")),
    ]
    for address in answers:
        response = client.get(address)
        assert response.status_code == 200, address
        content = b"".join(response.streaming_content) if response.streaming else response.content
        assert content, address
        assert canaries_in(content) == [], address
    for searched in (f"PatientID={MRN}", "PatientName=Canary*", "StudyDate=19770713", "PatientSex=F"):
        found = client.get(f"/dicom-web/studies?{searched}")
        assert found.status_code == 200
        assert found.json() == [], searched
