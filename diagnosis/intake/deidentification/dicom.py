"""A DICOM file rewritten by the Basic Application Level Confidentiality Profile (PS3.15 Annex E)."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import pydicom
from pydicom import uid
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from diagnosis.intake.deidentification.pictures import blank_codestreams
from diagnosis.intake.deidentification.rules import EDITION, Action, rule_of
from ml.imaging import Limits
from ml.imaging.dicom import inflated, read_transfer_syntax

#: Dummy values by their VR, the same for everybody (action D); sequences and UIDs have their own.
DUMMIES: Mapping[str, Any] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), "REMOVED"),
    "AS": "000Y",
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "UR": "urn:removed",
    **dict.fromkeys(("DS", "IS"), "0"),
    **dict.fromkeys(("FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"), 0),
    **dict.fromkeys(("OB", "OW", "UN"), b"\x00\x00"),
}
#: What the standard itself defines is not somebody's identifier (PS3.6 Annex A).
STANDARD_ROOT = "1.2.840.10008."
#: Sequences inside sequences; no object of the standard comes near, and pydicom writes what is nested by recursion.
MOST_NESTED = 64
METHOD = f"PS3.15 {EDITION} Annex E Basic Profile, pixel data not cleaned"


def replaced_uid(value: str, key: bytes) -> str:
    """Another UID for this one, always the same under the same key, and not to be led back without it.

    A UUID of version 8 (RFC 9562 5.8) as a UID (PS3.5 B.2): its bits are those of HMAC-SHA256.
    """
    if not value or value.startswith(STANDARD_ROOT):
        return value
    bits = int.from_bytes(hmac.new(key, value.encode(), hashlib.sha256).digest()[:16], "big")
    bits = bits & ~(0xF << 76) | (8 << 76)
    bits = bits & ~(0x3 << 62) | (2 << 62)
    return f"2.25.{bits}"


def deidentify_dicom(content: bytes, key: bytes, limits: Limits) -> bytes:
    """The file by the basic profile, in its own transfer syntax; of its pixel data only comments in a codestream change.

    Raises whatever pydicom raises on damage.
    """
    transfer_syntax = read_transfer_syntax(content)
    ds = pydicom.dcmread(BytesIO(inflated(content, limits)), force=False)
    clean(ds, key)
    _blank_codestreams(ds, transfer_syntax)
    _say_so(ds)
    # Written anew: the preamble and the meta information name the sender's application and may hold anything (PS3.10 7.1).
    ds.preamble = bytes(128)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", "")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = transfer_syntax
    out = BytesIO()
    pydicom.dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def clean(ds: Dataset, key: bytes, depth: int = 0) -> None:
    """Apply the rules to the data set and to the items of every sequence that stays.

    Raises ``ValueError`` where sequences are nested deeper than ``MOST_NESTED``.
    """
    if depth > MOST_NESTED:
        raise ValueError("sequences nested without reason")
    for tag in list(ds.keys()):
        match rule_of(tag).action:
            case Action.REMOVE:
                del ds[tag]
            case Action.EMPTY:
                ds[tag] = _empty(tag)
            case Action.REPLACE:
                ds[tag] = _dummy(tag, ds, key)
            case Action.REPLACE_UID:
                ds[tag] = DataElement(tag, "UI", _replaced(ds[tag].value, key))
            case Action.KEEP | Action.CLEAN_ITEMS:
                _clean_items(ds, tag, key, depth)


def _clean_items(ds: Dataset, tag: BaseTag, key: bytes, depth: int) -> None:
    """Go into the items of a sequence; what is encoded otherwise than its VR says cannot be looked into, and is removed."""
    is_sequence = dictionary_VR(tag) == "SQ"
    if not is_sequence and ds.get_item(tag).VR not in ("SQ", "UN"):
        return
    element = ds[tag]
    if is_sequence and element.VR == "SQ":
        for item in element.value:
            clean(item, key, depth + 1)
    elif is_sequence or element.VR in ("SQ", "UN"):
        del ds[tag]


def _empty(tag: BaseTag) -> DataElement:
    vr = dictionary_VR(tag)
    return DataElement(tag, vr, Sequence() if vr == "SQ" else None)


def _dummy(tag: BaseTag, ds: Dataset, key: bytes) -> DataElement:
    vr = dictionary_VR(tag)
    if vr == "SQ":
        return DataElement(tag, vr, Sequence([Dataset()]))
    if vr == "UI":
        return DataElement(tag, vr, _replaced(ds[tag].value, key))
    return DataElement(tag, vr, DUMMIES[vr])


def _replaced(value: Any, key: bytes) -> Any:
    if isinstance(value, str):
        return replaced_uid(value, key)
    return [replaced_uid(str(part), key) for part in value or []]


def _blank_codestreams(ds: FileDataset, transfer_syntax: uid.UID) -> None:
    """Comments and application data inside compressed pixel data (PS3.5 A.4): they are no pixels, and may name anybody."""
    if "PixelData" not in ds or not transfer_syntax.is_encapsulated:
        return
    element = ds["PixelData"]
    data = bytearray(element.value)
    fragments = [slice(start, start + length) for start, length in _fragments(data)][
        1:
    ]  # The first is the table of offsets.
    # One codestream may go over several fragments.
    streams = bytearray().join(data[fragment] for fragment in fragments)
    blank_codestreams(streams)
    position = 0
    for fragment in fragments:
        length = fragment.stop - fragment.start
        data[fragment] = streams[position : position + length]
        position += length
    element.value = bytes(data)


def _fragments(data: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Start and length of the items of encapsulated pixel data."""
    position = 0
    while position + 8 <= len(data):
        group, element, length = struct.unpack_from("<HHI", data, position)
        if (group, element) != (0xFFFE, 0xE000):
            return  # The delimiter at the end.
        yield position + 8, length
        position += 8 + length


def _say_so(ds: Dataset) -> None:
    """What PS3.15 E.1.1 asks a de-identified file to say of itself; the codes are of CID 7050 (PS3.16)."""
    code = Dataset()
    code.CodeValue = "113100"
    code.CodingSchemeDesignator = "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = METHOD
    ds.DeidentificationMethodCodeSequence = Sequence([code])
    ds.LongitudinalTemporalInformationModified = "REMOVED"
