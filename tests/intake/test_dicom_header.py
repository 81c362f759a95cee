"""What a DICOM file says about its patient and its study."""

import tracemalloc
from datetime import date, time
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import uid

from diagnosis.intake.dicom_header import DicomHeader, read_header
from ml.imaging import ImageRefused, Limits
from ml.phantom import phantom_dicom, phantom_png, to_file
from tests.ml.imaging.files import QUIET, data_set, deflated, real_dicom

pytestmark = QUIET

CHARSETS = Path(pydicom.__file__).parent / "data" / "charset_files"


def header(**elements) -> DicomHeader:
    return read_header(file(**elements))


def file(**elements) -> bytes:
    return to_file(data_set(np.zeros((2, 2), dtype=np.uint8), **elements), uid.ExplicitVRLittleEndian)


def refused(content: bytes) -> ImageRefused:
    with pytest.raises(ImageRefused) as refusal:
        read_header(content)
    return refusal.value


def test_a_whole_header_is_read_as_it_was_written():
    content = phantom_dicom(
        5,
        rows=64,
        columns=48,
        bits_stored=15,
        photometric="MONOCHROME1",
        patient_name="Mokei^Taro=模型^太郎=もけい^たろう",
        patient_id="DRAWN-0003",
        patient_birth_date="19551123",
        patient_sex="M",
        accession_number="ACC-1",
        study_instance_uid="1.2.3",
        sop_instance_uid="1.2.3.4",
        study_date="20200402",
        study_time="101530.5",
        transfer_syntax=uid.RLELossless,
        elements={
            "ImageLaterality": "U",
            "PatientAge": "064Y",
            "PixelSpacing": [0.2, 0.25],
            "BurnedInAnnotation": "YES",
        },
    )
    seen = read_header(content)
    assert seen == DicomHeader(
        sop_class_uid=uid.ComputedRadiographyImageStorage,
        sop_instance_uid="1.2.3.4",
        study_instance_uid="1.2.3",
        series_instance_uid=seen.series_instance_uid,
        series_number=1,
        series_description="",
        instance_number=1,
        transfer_syntax_uid=uid.RLELossless,
        modality="CR",
        patient_id="DRAWN-0003",
        patient_name="Mokei^Taro=模型^太郎=もけい^たろう",
        patient_birth_date=date(1955, 11, 23),
        patient_sex="M",
        patient_age="064Y",
        accession_number="ACC-1",
        study_date=date(2020, 4, 2),
        study_time=time(10, 15, 30, 500_000),
        study_description="Chest, drawn",
        body_part_examined="CHEST",
        view_position="PA",
        view_code="",
        presentation_intent_type="",
        laterality="U",
        patient_orientation="L\\F",
        pixel_spacing=(0.2, 0.25),
        imager_pixel_spacing=(5.7812, 5.7812),
        manufacturer="Drawn, not a device",
        institution_name="Drawn, not a hospital",
        rows=64,
        columns=48,
        number_of_frames=None,
        bits_stored=15,
        photometric_interpretation="MONOCHROME1",
        burned_in_annotation="YES",
    )
    assert seen.series_instance_uid.startswith("1.2.826.0.1.3680043.8.498.")


def test_a_bare_header_leaves_everything_empty_but_what_identifies_the_image():
    seen = header(PatientName=None, PatientID=None, Rows=None, SeriesInstanceUID=None, SOPClassUID="1.2")
    assert (seen.sop_instance_uid, seen.study_instance_uid) == ("1.2.3.4", "1.2.3")
    assert (
        seen.patient_name
        == seen.patient_id
        == seen.patient_sex
        == seen.modality
        == seen.series_instance_uid
        == ""
    )
    assert (
        seen.patient_birth_date
        is seen.study_date
        is seen.study_time
        is seen.pixel_spacing
        is seen.rows
        is None
    )


NAMES = {
    "chrArab.dcm": "قباني^لنزار",
    "chrFren.dcm": "Buc^Jérôme",
    "chrFrenMulti.dcm": "Buc^Jérôme",
    "chrGerm.dcm": "Äneas^Rüdiger",
    "chrGreek.dcm": "Διονυσιος",
    "chrH31.dcm": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "chrH32.dcm": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    "chrHbrw.dcm": "שרון^דבורה",
    "chrI2.dcm": "Hong^Gildong=洪^吉洞=홍^길동",
    "chrJapMulti.dcm": "やまだ^たろう",
    "chrJapMultiExplicitIR6.dcm": "やまだ^たろう",
    "chrKoreanMulti.dcm": "김희중",
    "chrRuss.dcm": "Люкceмбypг",  # noqa: RUF001
    "chrX1.dcm": "Wang^XiaoDong=王^小東",
    "chrX2.dcm": "Wang^XiaoDong=王^小东",
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items(), ids=NAMES)
def test_a_name_in_any_character_set_of_the_standard_is_read_faithfully(name, expected):
    assert read_header(CHARSETS / name).patient_name == expected


def test_the_remaining_character_set_files_have_no_identity_and_are_refused():
    remaining = {path.name for path in CHARSETS.glob("*.dcm")} - NAMES.keys()
    assert remaining == {"chrSQEncoding.dcm", "chrSQEncoding1.dcm"}
    for name in remaining:
        assert refused((CHARSETS / name).read_bytes()).code == "invalid_dicom"


def with_character_set(term: bytes, name: str) -> bytes:
    content = file(SpecificCharacterSet="ISO_IR 100", PatientName=name)
    return content.replace(b"ISO_IR 100", term.ljust(10))


@pytest.mark.parametrize("term", [b"ISO_IR 999", b"LATIN_9", b"rot13", b"GB 18030"])
def test_a_name_in_a_character_set_that_the_standard_does_not_know_is_refused(term):
    assert refused(with_character_set(term, "Ärger^Ada")).code in ("invalid_dicom", "corrupt")


def test_a_plain_name_is_read_whatever_character_set_is_named():
    assert read_header(with_character_set(b"ISO_IR 999", "Plain^Ada")).patient_name == "Plain^Ada"


def test_a_name_that_does_not_fit_its_character_set_is_refused_without_being_quoted():
    content = file(SpecificCharacterSet="ISO_IR 192", PatientName="Ärger^Ada").replace(
        "Ä".encode(), b"\xc3\xc3"
    )
    refusal = refused(content)
    assert "PatientName cannot be read in the character set" in str(refusal)
    assert "rger" not in str(refusal)


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize(
    "value", ["", "../../etc/passwd", "1.2.03", "1." * 32 + "1", "1.2.3\x00.4", "1.2\n3"]
)
def test_an_identity_that_is_missing_or_malformed_is_refused(keyword, value):
    content = file(SOPInstanceUID="1.2.3.4.5.6.7.8", StudyInstanceUID="1.2.3.4.5.6.7.9")
    ds = pydicom.dcmread(BytesIO(content))
    meta = ds.file_meta
    ds[keyword].value = value
    file_object = BytesIO()
    ds.file_meta = meta
    pydicom.dcmwrite(file_object, ds)
    refusal = refused(file_object.getvalue())
    assert refusal.code == "invalid_dicom"
    assert keyword in str(refusal)


def test_a_very_long_name_is_refused_not_shortened():
    assert header(PatientName="=".join(["x" * 64] * 3)).patient_name.count("x") == 192
    assert "PatientName is longer" in str(refused(file(PatientName="x" * 65_000)))
    assert "PatientID is longer" in str(refused(file(PatientID="x" * 65)))
    assert header(StudyDescription="x" * 65).study_description == ""


def test_characters_that_no_text_may_hold_are_taken_out():
    seen = header(
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Ada\x00\x07^\u202eEvil",
        PatientID="A\r\nB",
        StudyDescription="<script>alert(1)</script>",
    )
    assert (seen.patient_name, seen.patient_id) == ("Ada^Evil", "AB")
    assert seen.study_description == "<script>alert(1)</script>"


def test_joiners_that_persian_names_need_stay():
    name = "علی\u200cرضا"  # noqa: RUF001
    assert header(SpecificCharacterSet="ISO_IR 192", PatientName=name).patient_name == name


def test_a_backslash_in_a_record_number_costs_no_part_of_it():
    ds = data_set(np.zeros((2, 2), dtype=np.uint8))
    ds.PatientID = ["A", "B"]
    assert read_header(to_file(ds, uid.ExplicitVRLittleEndian)).patient_id == "A\\B"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("20200229", date(2020, 2, 29)),
        ("2020.02.29", date(2020, 2, 29)),
        ("20210229", None),
        ("00000000", None),
        ("2020", None),
        ("2020-02-29", None),
        ("20200229120000", None),
        ("yesterday", None),
    ],
)
def test_a_date_is_read_or_left_out_never_guessed(written, expected):
    seen = header(SpecificCharacterSet="ISO_IR 192", PatientBirthDate=written, StudyDate=written)
    assert seen.patient_birth_date == seen.study_date == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("07", time(7)),
        ("0730", time(7, 30)),
        ("073015", time(7, 30, 15)),
        ("073015.25", time(7, 30, 15, 250_000)),
        ("07:30:15", time(7, 30, 15)),
        ("240000", None),
        ("0760", None),
        ("7.30", None),
        ("noon", None),
    ],
)
def test_a_time_is_read_or_left_out_never_guessed(written, expected):
    assert header(StudyTime=written).study_time == expected


@pytest.mark.parametrize(
    ("written", "expected"), [("M", "M"), ("f", "F"), ("O", "O"), ("X", ""), ("male", ""), ("", "")]
)
def test_a_sex_is_one_of_the_standards_or_unknown(written, expected):
    assert header(PatientSex=written).patient_sex == expected


@pytest.mark.parametrize("written", [[0, 0], [0.1, -0.1], [0.1], [0.1, 0.1, 0.1], ""], ids=str)
def test_a_spacing_that_measures_nothing_is_left_out(written):
    assert header(PixelSpacing=written).pixel_spacing is None


def test_a_spacing_that_is_no_number_is_left_out():
    ds = data_set(np.zeros((2, 2), dtype=np.uint8))
    ds.add_new("PixelSpacing", "LO", ["a", "b"])
    assert read_header(to_file(ds, uid.ImplicitVRLittleEndian)).pixel_spacing is None


def test_the_real_films_say_who_and_when():
    nema = read_header(real_dicom("RG1_J2KI.dcm"))
    assert (nema.patient_name, nema.patient_id, nema.patient_sex) == ("CompressedSamples^RG1", "9RG1", "F")
    assert (nema.study_date, nema.study_time) == (date(2004, 8, 26), time(18, 50, 59))
    assert (nema.modality, nema.view_position, nema.bits_stored) == ("CR", "PA", 15)
    assert nema.pixel_spacing is None  # Written as 0.000, which measures nothing.
    rsna = read_header(real_dicom("rsna-*.dcm"))
    assert rsna.pixel_spacing == (0.168, 0.168)
    assert rsna.patient_birth_date is None


def test_what_is_no_dicom_file_has_no_header():
    assert refused(b"").code == "empty_file"
    assert refused(phantom_png(1, rows=32, columns=32)).code == "unknown_kind"
    with pytest.raises(ImageRefused, match="larger than"):
        read_header(file(), limits=Limits(max_bytes=100))


def test_a_deflated_file_is_inflated_within_its_bound():
    plain = phantom_dicom(1, rows=32, columns=32)
    header = read_header(deflated(plain))
    assert header.transfer_syntax_uid == uid.DeflatedExplicitVRLittleEndian
    assert header.patient_name == read_header(plain).patient_name
    ds = data_set(np.zeros((2, 2), dtype=np.uint8))
    ds.PixelData = bytes(2**26)
    content = to_file(ds, uid.DeflatedExplicitVRLittleEndian)
    limits = Limits(max_bytes=2**20, max_pixels=2**20)
    tracemalloc.start()
    with pytest.raises(ImageRefused) as bomb:
        read_header(content, limits=limits)
    assert bomb.value.code == "inflates_too_large"
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_a_header_cut_anywhere_is_refused_or_the_same():
    content = phantom_dicom(1, rows=32, columns=32)
    whole = read_header(content)
    pixels = content.index(b"\xe0\x7f\x10\x00")
    for length in range(1, pixels):
        try:
            cut = read_header(content[:length])
        except ImageRefused:
            continue
        # What is read of the front is right; the rest is missing, and the pixels are refused by their reader.
        for name, value in vars(cut).items():
            assert value in ("", None) or value == getattr(whole, name), (length, name)


@settings(max_examples=200, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=5
    )
)
def test_of_a_mutated_header_only_a_refusal_leaves(changes):
    mutated = bytearray(SEED)
    for place, replacement in changes:
        start = int(place * 1500)
        mutated[start : start + len(replacement)] = replacement
    try:
        seen = read_header(bytes(mutated))
    except ImageRefused:
        return
    for value in vars(seen).values():
        if isinstance(value, str):
            assert len(value) <= 194
            assert not any(ord(char) < 32 for char in value)


SEED = phantom_dicom(1, rows=32, columns=32, patient_name="模型^太郎")
