"""The de-identified copy that a hospital may have stored in place of what came. Needs no Django: it runs in the decoder's
process.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np

from diagnosis.intake.deidentification.dicom import deidentify_dicom
from diagnosis.intake.deidentification.pictures import clean_jpeg, clean_png
from diagnosis.intake.dicom_header import read_header
from ml.imaging import FileKind, ImageRefused, Limits, gettext_noop, load_image, sniff
from ml.imaging.loading import refusing

#: Codes of refusals that only de-identification knows, with the sentence for the person.
REFUSALS = {
    "not_deidentified_words": gettext_noop(
        "This hospital stores de-identified copies alone, and this object holds words or documents, not a picture: nobody but a "
        "person can say what in them names the patient. It was not stored. Send the images without it."
    ),
    "not_deidentified_tiff": gettext_noop(
        "This hospital stores de-identified copies alone, and what a TIFF file says besides its picture cannot be taken out "
        "reliably. It was not stored. Save the picture as PNG, or send the DICOM file."
    ),
    "not_deidentified": gettext_noop(
        "This hospital stores de-identified copies alone, and of this file none could be made that surely shows the same "
        "picture. It was not stored. Export it again; if that does not help, tell an administrator."
    ),
}


def refusal(code: str) -> ImageRefused:
    return ImageRefused(code, REFUSALS[code])


@dataclasses.dataclass(frozen=True, slots=True)
class DeidentifiedCopy:
    """``header`` is what the copy says, as ``ExaminedFile`` has it: empty for a picture without one."""

    content: bytes
    header: dict[str, Any]


def deidentify(content: bytes, key: bytes, limits: Limits, *, is_shown: bool) -> DeidentifiedCopy:
    """The copy without what identifies the patient in its metadata; what is burnt into the picture stays.

    ``key`` is the secret of the hospital's UIDs: the same UID becomes the same other one in all its files. Where ``is_shown``,
    the copy shows the same picture to the last pixel, or is none. Raises ``ImageRefused``.
    """
    match sniff(content):
        case FileKind.DICOM:
            with refusing():
                copy = deidentify_dicom(content, key, limits)
            header = json.loads(json.dumps(dataclasses.asdict(read_header(copy, limits=limits)), default=str))
        case FileKind.PNG | FileKind.JPEG as kind:
            with refusing():
                copy = clean_png(content) if kind is FileKind.PNG else clean_jpeg(content)
            header = {}
        case _:
            raise refusal("not_deidentified_tiff")
    if is_shown and _picture(content, limits) != _picture(copy, limits):
        raise refusal("not_deidentified")
    return DeidentifiedCopy(copy, header)


def _picture(content: bytes, limits: Limits) -> tuple[tuple[int, ...], bytes]:
    """Size and hash of what a file shows; two pictures of the largest kind would not fit into this process at once."""
    pixels = load_image(content, limits=limits, first_frame=True).pixels
    return pixels.shape, hashlib.sha256(np.ascontiguousarray(pixels).data).digest()
