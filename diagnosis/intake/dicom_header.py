"""What a DICOM file says about its patient and its study, for a person to confirm."""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

import pydicom
from pydicom.charset import python_encoding
from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from ml.imaging import DEFAULT_LIMITS, FileKind, Limits, gettext_noop, refusal
from ml.imaging.dicom import inflated, read_data_set, read_transfer_syntax
from ml.imaging.loading import read_source, refusing, sniff_or_refuse

#: The longest text of VR LO, and of one component group of VR PN (PS3.5 6.2), which has three groups at most.
MAX_TEXT = 64
MAX_CODE_STRING = 16
MAX_PERSON_NAME = 3 * MAX_TEXT + 2

#: More than the file meta information takes: its few UIDs and names.
META_BYTES = 64 * 1024

#: Unicode's explicit direction marks: they can make a name read as another one.
DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
#: Left in a text only where its bytes did not fit its character set.
UNDECODED = frozenset("\ufffd\x1b")

SEXES = ("M", "F", "O")
TIME = re.compile(r"(\d\d):?(?:(\d\d):?(?:(\d\d)(?:\.(\d{1,6}))?)?)?", re.ASCII)
DATE = re.compile(r"(\d{4})(\.?)(\d\d)\2(\d\d)", re.ASCII)


@dataclass(frozen=True)
class DicomHeader:
    """The elements that intake shows and stores, named by their DICOM keywords.

    Text that is absent or unusable is "", any other value None: nothing is guessed. `patient_name` is the
    whole PN string with its component groups (alphabetic=ideographic=phonetic, components parted by ^).
    Dates and times are as read, local to the place of the examination. Spacings are (between rows, between
    columns) in mm.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    series_number: int | None
    series_description: str
    instance_number: int | None
    transfer_syntax_uid: str
    modality: str
    patient_id: str
    patient_name: str
    patient_birth_date: date | None
    patient_sex: str
    patient_age: str
    accession_number: str
    study_date: date | None
    study_time: time | None
    study_description: str
    body_part_examined: str
    view_position: str
    view_code: str
    presentation_intent_type: str
    laterality: str
    patient_orientation: str
    pixel_spacing: tuple[float, float] | None
    imager_pixel_spacing: tuple[float, float] | None
    manufacturer: str
    institution_name: str
    rows: int | None
    columns: int | None
    number_of_frames: int | None
    bits_stored: int | None
    photometric_interpretation: str
    burned_in_annotation: str


TAGS = [
    "FileSetID",
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "InstanceNumber",
    "Modality",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "AccessionNumber",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "BodyPartExamined",
    "ViewPosition",
    "ViewCodeSequence",
    "PresentationIntentType",
    "Laterality",
    "ImageLaterality",
    "PatientOrientation",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "Manufacturer",
    "InstitutionName",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "BitsStored",
    "PixelRepresentation",
    "PhotometricInterpretation",
    "BurnedInAnnotation",
]


def read_header(source: Path | bytes, *, limits: Limits = DEFAULT_LIMITS) -> DicomHeader:
    """Return the header of a DICOM file, read without its pixels. `source` is its path or its whole content.

    Raises `ml.imaging.ImageRefused` for what is no DICOM file, and (invalid_dicom) where what identifies
    patient or image is
    unusable: SOP and Study Instance UID missing or malformed; name, record number or accession number too
        long, or not readable in the character set that the file names. OSError where the file at a path
        cannot be read at all.
    """
    data = read_source(source, limits)
    with refusing():
        if sniff_or_refuse(data) is not FileKind.DICOM:
            raise refusal("unknown_kind")
        transfer_syntax = read_transfer_syntax(data)
        ds = read_data_set(inflated(data, limits), header_of=TAGS)
        if "FileSetID" in ds:
            raise refusal(
                "no_pixel_data"
            )  # A directory of a CD (PS3.3 F.3.2.1): there is nothing else in it.
        return DicomHeader(
            sop_class_uid=_uid(ds, "SOPClassUID"),
            sop_instance_uid=_required_uid(ds, "SOPInstanceUID"),
            study_instance_uid=_required_uid(ds, "StudyInstanceUID"),
            series_instance_uid=_uid(ds, "SeriesInstanceUID"),
            series_number=_integer(ds, "SeriesNumber"),
            series_description=_text(ds, "SeriesDescription"),
            instance_number=_integer(ds, "InstanceNumber"),
            transfer_syntax_uid=str(transfer_syntax),
            modality=_code_string(ds, "Modality"),
            patient_id=_identity(ds, "PatientID", MAX_TEXT),
            patient_name=_identity(ds, "PatientName", MAX_PERSON_NAME),
            patient_birth_date=_date(ds, "PatientBirthDate"),
            patient_sex=_sex(ds),
            patient_age=_text(ds, "PatientAge"),
            accession_number=_identity(ds, "AccessionNumber", MAX_TEXT),
            study_date=_date(ds, "StudyDate"),
            study_time=_time(ds, "StudyTime"),
            study_description=_text(ds, "StudyDescription"),
            body_part_examined=_text(ds, "BodyPartExamined"),
            view_position=_code_string(ds, "ViewPosition"),
            view_code=_first_code(ds, "ViewCodeSequence"),
            presentation_intent_type=_text(ds, "PresentationIntentType").upper(),
            laterality=_code_string(ds, "ImageLaterality") or _code_string(ds, "Laterality"),
            patient_orientation=_text(ds, "PatientOrientation"),
            pixel_spacing=_spacing(ds, "PixelSpacing"),
            imager_pixel_spacing=_spacing(ds, "ImagerPixelSpacing"),
            manufacturer=_text(ds, "Manufacturer"),
            institution_name=_text(ds, "InstitutionName"),
            rows=_unsigned(ds, "Rows"),
            columns=_unsigned(ds, "Columns"),
            number_of_frames=_integer(ds, "NumberOfFrames"),
            bits_stored=_unsigned(ds, "BitsStored"),
            photometric_interpretation=_text(ds, "PhotometricInterpretation"),
            burned_in_annotation=_text(ds, "BurnedInAnnotation"),
        )


def read_few(path: Path, keywords: list[str], *, limits: Limits) -> Dataset:
    """Return these elements of the DICOM file at `path`, unchecked and without its pixels being read; a deflated one is inflated
    within the bound.

    Raises `ml.imaging.ImageRefused`, OSError, and whatever pydicom raises on damage.
    """
    with path.open("rb") as file:
        start = file.read(META_BYTES)
    if read_transfer_syntax(start) == DeflatedExplicitVRLittleEndian:
        return read_data_set(inflated(read_source(path, limits), limits), header_of=keywords)
    return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*keywords])


def _value(ds: Dataset, keyword: str) -> Any:
    """The element's value, None where it is absent, empty or does not fit its VR."""
    try:
        return ds.get(keyword)
    except Exception:  # noqa: BLE001 - pydicom converts on access and raises whatever that does
        return None


def _string(ds: Dataset, keyword: str) -> str:
    """The value as text, "" where it is absent or does not fit its VR."""
    return _printable(_value(ds, keyword))


def _printable(value: Any) -> str:
    """The value in one line, as the sender wrote it but for what no text may hold: control characters,
    direction marks.

    Several values are kept in one string with DICOM's own separator: a backslash that a sender wrote into a
    single-valued element must not cost the half of it.
    """
    parts = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
    text = "\\".join(str(part) for part in parts if part is not None)
    return "".join(char for char in text if _is_printable(char)).strip()


def _is_printable(char: str) -> bool:
    if char in UNDECODED:
        return True
    return unicodedata.category(char) not in ("Cc", "Cs") and char not in DIRECTION_MARKS


def _text(ds: Dataset, keyword: str) -> str:
    """Descriptive text; "" where it is longer than the standard allows or could not be decoded."""
    text = _string(ds, keyword)
    return "" if len(text) > MAX_TEXT or UNDECODED & set(text) else text


def _code_string(ds: Dataset, keyword: str) -> str:
    """VR CS: 16 characters at most (PS3.5 6.2); "" for what is longer."""
    text = _text(ds, keyword)
    return "" if len(text) > MAX_CODE_STRING else text


def _identity(ds: Dataset, keyword: str, longest: int) -> str:
    """Text that tells whose image it is: faithful, or the file is refused. A shortened or garbled one is
    another person's.
    """
    # Read directly: what pydicom cannot convert must end in a refusal here, not in an empty name.
    text = _printable(ds.get(keyword))
    if len(text) > longest:
        raise refusal(
            "invalid_dicom",
            problem=gettext_noop("{keyword} is longer than {longest} characters"),
            keyword=keyword,
            longest=longest,
        )
    if UNDECODED & set(text) or (not text.isascii() and not _is_character_set_known(ds)):
        raise refusal(
            "invalid_dicom",
            problem=gettext_noop("{keyword} cannot be read in the character set that the file names"),
            keyword=keyword,
        )
    return text


def _is_character_set_known(ds: Dataset) -> bool:
    """Whether every Specific Character Set is a defined term (PS3.3 C.12.1.1.2); pydicom reads others as
    Latin 1.
    """
    value = ds.get("SpecificCharacterSet") or ""
    return all(str(term or "") in python_encoding for term in ([value] if isinstance(value, str) else value))


def _uid(ds: Dataset, keyword: str) -> str:
    value = _value(ds, keyword)
    return str(value) if isinstance(value, UID) and value.is_valid else ""


def _required_uid(ds: Dataset, keyword: str) -> str:
    uid = _uid(ds, keyword)
    if not uid:
        raise refusal(
            "invalid_dicom", problem=gettext_noop("its {keyword} is missing or malformed"), keyword=keyword
        )
    return uid


def _sex(ds: Dataset) -> str:
    sex = _text(ds, "PatientSex").upper()
    return sex if sex in SEXES else ""


def _date(ds: Dataset, keyword: str) -> date | None:
    """VR DA: YYYYMMDD, or the YYYY.MM.DD of the older standard that readers shall accept (PS3.5 6.2)."""
    match = DATE.fullmatch(_string(ds, keyword))
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        return None


def _time(ds: Dataset, keyword: str) -> time | None:
    """VR TM: HH, HHMM, HHMMSS or HHMMSS with a fraction (PS3.5 6.2), or the older HH:MM:SS."""
    match = TIME.fullmatch(_string(ds, keyword))
    if match is None:
        return None
    hour, minute, second, fraction = match.groups(default="0")
    try:
        return time(int(hour), int(minute), int(second), int(fraction.ljust(6, "0")))
    except ValueError:
        return None


def _spacing(ds: Dataset, keyword: str) -> tuple[float, float] | None:
    """Row and column spacing in mm; None unless both are positive (PS3.3 10.7.1.3)."""
    value = _value(ds, keyword)
    try:
        between_rows, between_columns = (float(part) for part in value)
    except (TypeError, ValueError):
        return None
    if not all(math.isfinite(part) and part > 0 for part in (between_rows, between_columns)):
        return None
    return between_rows, between_columns


def _integer(ds: Dataset, keyword: str) -> int | None:
    """VR IS: a whole number of 32 bits (PS3.5 6.2); None where it is absent or none."""
    value = _value(ds, keyword)
    return int(value) if isinstance(value, int) and -(2**31) <= value < 2**31 else None


def _first_code(ds: Dataset, keyword: str) -> str:
    """Code Value of the first item of a code sequence (PS3.3 8.8), "" where there is none."""
    items = _value(ds, keyword)
    return _text(items[0], "CodeValue") if isinstance(items, Sequence) and len(items) else ""


def _unsigned(ds: Dataset, keyword: str) -> int | None:
    """VR US; None for what does not fit into 16 bits."""
    value = _value(ds, keyword)
    return value if isinstance(value, int) and 0 <= value < 2**16 else None
