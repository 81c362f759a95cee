"""A copy of a DICOM file that is an instance of its own."""

from __future__ import annotations

import datetime as dt
from io import BytesIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

#: Defined term of Reason for the Attribute Modification (PS3.3 C.12.1.1.9).
REPLACES_INCORRECT_VALUE = "CORRECT"
MODIFYING_SYSTEM = "CXR Portal"


def with_new_uid(content: bytes, *, at: dt.datetime) -> tuple[bytes, str]:
    """The file under a new SOP Instance UID, and that UID; its pixel data are the same to the last byte.

    The UID of before is in Original Attributes Sequence (PS3.3 C.12.1.1.9). ``content`` was examined before, ``at`` is aware.
    Raises ``ValueError`` where the copy does not hold the same pixel data, and whatever pydicom raises on damage.
    """
    ds = pydicom.dcmread(BytesIO(content))
    uid = generate_uid(prefix=None)  # PS3.5 B.2: of a UUID.
    before = Dataset()
    before.SOPInstanceUID = ds.SOPInstanceUID
    change = Dataset()
    change.SourceOfPreviousValues = ""
    change.AttributeModificationDateTime = at.strftime("%Y%m%d%H%M%S.%f%z")
    change.ModifyingSystem = MODIFYING_SYSTEM
    change.ReasonForTheAttributeModification = REPLACES_INCORRECT_VALUE
    change.ModifiedAttributesSequence = [before]
    ds.OriginalAttributesSequence = [*(ds.get("OriginalAttributesSequence") or []), change]
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid
    target = BytesIO()
    ds.save_as(target, enforce_file_format=True)
    copy = target.getvalue()
    if pydicom.dcmread(BytesIO(copy)).get("PixelData") != ds.get("PixelData"):
        raise ValueError("The copy does not hold the same pixel data.")
    return copy, str(uid)
