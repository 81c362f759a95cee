"""What a de-identified copy is: PS3.15's table applied to every attribute, and pictures without their metadata."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pydicom
import pytest
from PIL import ExifTags, Image, PngImagePlugin
from pydicom import uid
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from diagnosis.intake.deidentification import deidentify
from diagnosis.intake.deidentification.dicom import MOST_NESTED, replaced_uid
from diagnosis.intake.deidentification.rules import Action, attribute_rules, listed, rule_of
from diagnosis.intake.dicom_header import TAGS
from diagnosis.intake.examine import examine
from ml.imaging import DEFAULT_LIMITS, ImageRefused, load_image
from ml.phantom import TRANSFER_SYNTAXES, phantom_dicom, phantom_jpeg, phantom_png
from tests.canaries import assert_copy_is_clean, canaries_in, plantable, planted

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
SMALL = {"rows": 48, "columns": 40}


def copy_of(content: bytes, key: bytes = KEY, *, is_shown: bool = True) -> bytes:
    return deidentify(content, key, DEFAULT_LIMITS, is_shown=is_shown).content


def read(content: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(content))


# The table


def test_the_table_is_that_of_the_standard():
    """A sample of Table E.1-1 over all its codes, written here from the standard."""
    expected = {
        "AccessionNumber": "Z",
        "AcquisitionComments": "X",
        "AcquisitionContextSequence": "X/Z",
        "AcquisitionDate": "X/Z",
        "AcquisitionDateTime": "X/Z/D",
        "AcquisitionDeviceProcessingDescription": "X/D",
        "AcquisitionFieldOfViewLabel": "D",
        "ClinicalTrialSponsorName": "D",
        "ConsultingPhysicianName": "Z",
        "ContentDate": "Z/D",
        "ContrastBolusAgent": "Z/D",
        "DetectorID": "X/D",
        "DeviceSerialNumber": "X/Z/D",
        "DeviceUID": "U",
        "PatientBirthDate": "Z",
        "PatientName": "Z",
        "PatientSex": "Z",
        "SOPInstanceUID": "U",
        "SourceImageSequence": "X/Z/U*",
        "StudyDescription": "X",
        "StudyInstanceUID": "U",
    }
    by_keyword = {attribute.keyword: attribute.rule.code for attribute in attribute_rules()}
    assert {keyword: by_keyword[keyword] for keyword in expected} == expected
    assert len(listed()) > 640


def test_what_the_network_and_the_viewer_need_stays():
    stays = {keyword for keyword in TAGS if rule_of(Tag(keyword)).action is Action.KEEP}
    assert stays >= {
        "ViewPosition",
        "BodyPartExamined",
        "Modality",
        "PixelSpacing",
        "ImagerPixelSpacing",
        "Rows",
    }
    assert stays >= {
        "PatientOrientation",
        "ImageLaterality",
        "PhotometricInterpretation",
        "BurnedInAnnotation",
    }
    goes = {keyword for keyword in TAGS if rule_of(Tag(keyword)).action is not Action.KEEP}
    assert goes >= {
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientAge",
        "AccessionNumber",
        "StudyDate",
    }


@pytest.mark.parametrize(
    ("keyword", "action"),
    [
        ("PatientBirthDateInAlternativeCalendar", Action.REMOVE),
        ("TargetFrameOfReferenceUID", Action.REPLACE_UID),
        ("MultiFrameSourceSOPInstanceUID", Action.REPLACE_UID),
        ("ReferencedSOPClassUID", Action.KEEP),
        ("CodingSchemeUID", Action.KEEP),
        ("RetrieveURL", Action.REMOVE),
        ("CommentsOnTheScheduledProcedureStep", Action.REMOVE),
        ("SecondaryReviewerName", Action.REMOVE),
        ("DateOfGainCalibration", Action.REMOVE),
    ],
)
def test_what_the_table_forgets_is_not_kept(keyword, action):
    assert Tag(keyword) not in listed()
    assert rule_of(Tag(keyword)).action is action


def test_a_frame_of_reference_leads_to_the_same_other_one_wherever_it_is_named():
    ds = read(copy_of(planted(FrameOfReferenceUID="1.2.770713.5", TargetFrameOfReferenceUID="1.2.770713.5")))
    assert ds.FrameOfReferenceUID == ds.TargetFrameOfReferenceUID != "1.2.770713.5"


# The file


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES, ids=lambda syntax: uid.UID(syntax).name)
def test_no_planted_value_is_left_in_any_transfer_syntax(syntax):
    original = planted(syntax=uid.UID(syntax))
    assert_copy_is_clean(original, copy_of(original))


def test_every_attribute_of_the_table_is_planted_at_every_depth():
    """The test above proves something only where the values were there before."""
    ds = read(planted())
    item = ds.AnatomicRegionSequence[0]
    for data_set in (ds, item, item.AnatomicRegionModifierSequence[0]):
        tags = set(data_set.keys())
        assert set(plantable()) <= tags
        assert any(tag.is_private for tag in tags)
    assert len(plantable()) > 590


def test_a_kept_sequence_keeps_what_is_no_identity():
    item = read(copy_of(planted())).AnatomicRegionSequence[0]
    assert (item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning) == ("51185008", "SCT", "Chest")


def test_files_of_one_study_stay_together_and_references_lead_to_the_copies():
    first = planted(1)
    reference = Dataset()
    reference.ReferencedSOPClassUID = uid.ComputedRadiographyImageStorage
    reference.ReferencedSOPInstanceUID = read(first).SOPInstanceUID
    second = planted(2, SourceImageSequence=[reference])
    one, two = (read(copy_of(content)) for content in (first, second))
    assert one.StudyInstanceUID == two.StudyInstanceUID != read(first).StudyInstanceUID
    assert one.SeriesInstanceUID == two.SeriesInstanceUID
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert two.SourceImageSequence[0].ReferencedSOPInstanceUID == one.SOPInstanceUID
    assert two.SourceImageSequence[0].ReferencedSOPClassUID == uid.ComputedRadiographyImageStorage


def test_a_copy_is_always_the_same_and_another_under_another_key():
    original = planted()
    assert copy_of(original) == copy_of(original)
    assert read(copy_of(original, OTHER_KEY)).StudyInstanceUID != read(copy_of(original)).StudyInstanceUID


def test_a_replaced_uid_is_a_uuid_and_what_the_standard_defines_is_not_replaced():
    replaced = {replaced_uid(f"1.2.3.{number}", KEY) for number in range(200)}
    assert len(replaced) == 200
    assert all(uid.UID(value).is_valid and value.startswith("2.25.") for value in replaced)
    assert {int(value[5:]) >> 76 & 0xF for value in replaced} == {8}
    assert replaced_uid("1.2.840.10008.1.4.1.1", KEY) == "1.2.840.10008.1.4.1.1"


@pytest.mark.parametrize(
    "path", sorted(get_testdata_files("*.dcm")), ids=lambda path: path.rpartition("/")[2]
)
def test_a_file_of_pydicom_gives_a_copy_with_its_pixels_or_a_reason(path):
    with open(path, "rb") as file:  # noqa: PTH123
        content = file.read()
    try:
        examined = examine(content, DEFAULT_LIMITS, render=False)
    except ImageRefused:
        return  # The intake refuses it before; test_bad_input proves with which words.
    if path.endswith("SC_rgb_jpeg.dcm"):  # Two encodings in one data set, which nobody can write again.
        with pytest.raises(ImageRefused, match="damaged or contradicts itself"):
            copy_of(content, is_shown=examined.is_shown)
        return
    copy = copy_of(content, is_shown=examined.is_shown)
    before, after = read(content), read(copy)
    assert after.PatientIdentityRemoved == "YES"
    assert [after.get(keyword, "") for keyword in ("PatientName", "PatientID", "PatientBirthDate")] == [
        ""
    ] * 3
    assert not any(element.tag.is_private for element in after.iterall())
    name = str(before.get("PatientName") or "").encode()
    assert len(name) < 5 or name not in copy
    assert ("PixelData" in after) == ("PixelData" in before)
    if "PixelData" in before:
        assert len(after.PixelData) == len(before.PixelData)
        if before.file_meta.TransferSyntaxUID.is_encapsulated:
            return  # Comments in the codestreams may have been blanked; deidentify has compared the pictures.
        assert after.PixelData == before.PixelData


@pytest.mark.parametrize(
    "syntax", [uid.JPEGBaseline8Bit, uid.JPEGLSLossless, uid.JPEG2000Lossless], ids=lambda syntax: syntax.name
)
def test_a_comment_inside_compressed_pixels_is_blanked(syntax):
    bits = 8 if syntax == uid.JPEGBaseline8Bit else 12
    content = phantom_dicom(1, **SMALL, transfer_syntax=syntax, bits_stored=bits)
    marker = b"\xff\x64" if syntax == uid.JPEG2000Lossless else b"\xff\xfe"
    text = b"\x00\x01A canary!!" if syntax == uid.JPEG2000Lossless else b"A canary"
    segment = marker + struct.pack(">H", len(text) + 2) + text
    ds = read(content)
    stream = bytearray(next(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1)))
    place = 2 if syntax != uid.JPEG2000Lossless else stream.index(b"\xff\x52")
    stream[place:place] = segment
    ds.PixelData = pydicom.encaps.encapsulate([bytes(stream)])
    ds["PixelData"].is_undefined_length = True
    out = BytesIO()
    ds.save_as(out, enforce_file_format=True)
    original = out.getvalue()
    copy = copy_of(original)
    assert canaries_in(original)
    assert not canaries_in(copy)
    assert np.array_equal(load_image(copy).pixels, load_image(original).pixels)


def nested(depth: int) -> bytes:
    """A name so many sequences deep."""
    ds = read(phantom_dicom(1, **SMALL))
    ds.AnatomicRegionSequence = [Dataset()]
    inner = ds.AnatomicRegionSequence[0]
    for _ in range(depth - 1):
        inner.AnatomicRegionModifierSequence = [Dataset()]
        inner = inner.AnatomicRegionModifierSequence[0]
    inner.PatientName = "Canary^Carla"
    out = BytesIO()
    ds.save_as(out, enforce_file_format=True)
    assert canaries_in(out.getvalue())
    return out.getvalue()


def test_what_is_nested_deep_is_cleaned_too():
    assert canaries_in(copy_of(nested(MOST_NESTED))) == []


def test_what_is_nested_without_reason_is_refused():
    with pytest.raises(ImageRefused, match="damaged or contradicts itself"):
        copy_of(nested(MOST_NESTED + 1))


# Pictures


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("make", [phantom_png, phantom_jpeg], ids=["PNG", "JPEG"])
def test_a_picture_loses_its_metadata_and_no_pixel(make, orientation):
    original = with_metadata(make(1, **SMALL), orientation)
    copy = copy_of(original)
    assert canaries_in(original)
    assert not canaries_in(copy)
    assert np.array_equal(load_image(copy).pixels, load_image(original).pixels)
    with Image.open(BytesIO(copy)) as image:
        assert dict(image.getexif()) in (
            {},
            {ExifTags.Base.Orientation: orientation},
        )
        assert not {"xmp", "icc_profile", "Author"} & set(image.info)
        assert not image.info.get("comment", b"").strip(b"\x00")


def with_metadata(content: bytes, orientation: int) -> bytes:
    """A picture as a phone or an editor writes it: Exif, XMP, comments, a profile, times, and bytes behind its end."""
    with Image.open(BytesIO(content)) as image:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        exif[ExifTags.Base.Artist] = "A canary"
        exif[ExifTags.Base.ImageDescription] = "Canary^Carla 19770713"
        out = BytesIO()
        if image.format == "PNG":
            text = PngImagePlugin.PngInfo()
            text.add_text("Author", "A canary")
            text.add_itxt("XML:com.adobe.xmp", "<x>canary</x>", zip=False)
            text.add_text("Comment", "compressed 770713", zip=True)
            text.add(b"caNr", b"a canary", after_idat=True)
            image.save(out, "PNG", pnginfo=text, exif=exif, icc_profile=b"canary profile")
        else:
            # The same coefficients: "keep" copies the tables, and the test compares with this file, not with the phantom.
            image.save(
                out,
                "JPEG",
                quality=95,
                exif=exif,
                comment=b"A canary",
                icc_profile=b"canary",
                xmp=b"<x>canary</x>",
            )
    return out.getvalue() + b"behind the end: canary"


def test_a_png_is_rebuilt_with_sums_that_hold():
    copy = copy_of(with_metadata(phantom_png(1, **SMALL), 6))
    position = 8
    kinds = []
    while position < len(copy):
        length, kind = struct.unpack_from(">I4s", copy, position)
        body = copy[position + 4 : position + 8 + length]
        assert struct.unpack_from(">I", copy, position + 8 + length) == (zlib.crc32(body),)
        kinds.append(kind)
        position += 12 + length
    assert set(kinds) == {b"IHDR", b"eXIf", b"IDAT", b"IEND"}


def test_a_tiff_file_is_refused_with_what_to_do():
    out = BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(out, "TIFF")
    with pytest.raises(ImageRefused, match="as PNG") as refused:
        copy_of(out.getvalue())
    assert refused.value.code == "not_deidentified_tiff"
