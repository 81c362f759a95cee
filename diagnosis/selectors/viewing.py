"""Where the viewer gets the samples of an image, and what it must know to show and to measure them. Nothing of a prediction."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydicom import uid

from diagnosis.limits import image_limits
from diagnosis.models import Image, ImageKind, Study
from diagnosis.selectors.case_record import CaseRecord
from ml.imaging import ImageRefused
from ml.imaging.viewing import Viewing, stored_samples, viewing

#: Decoded in the browser; samples of every other transfer syntax are sent decompressed. JPEG Extended is left out: the
#: browser's decoders know its 8 bits or its 12, not both.
DECODED_IN_THE_BROWSER = {
    str(uid.RLELossless): "image/dicom-rle",
    str(uid.JPEGBaseline8Bit): "image/jpeg",
    str(uid.JPEGLossless): "image/jpeg",
    str(uid.JPEGLosslessSV1): "image/jpeg",
    str(uid.JPEGLSLossless): "image/jls",
    str(uid.JPEGLSNearLossless): "image/jls",
    str(uid.JPEG2000Lossless): "image/jp2",
    str(uid.JPEG2000): "image/jp2",
}
NATIVE = "application/octet-stream"
#: Headers are far smaller; of one that is not, and of a deflated file, all is read.
HEAD_BYTES = 256 * 1024
OPPOSITE = {"A": "P", "P": "A", "L": "R", "R": "L", "H": "F", "F": "H"}


@dataclass(frozen=True, slots=True)
class FrameSource:
    """Where the one frame of an image is. ``wado_path`` is below the DICOMweb root, empty where DICOMweb does not serve it;
    ``transfer_syntax`` is that of what is sent for ``media_type``.
    """

    wado_path: str
    media_type: str
    transfer_syntax: str


def frame_source(image: Image, study: Study) -> FrameSource:
    """Told by the record alone: no file is read. ``study`` is that of ``image``."""
    is_grey = image.header.get("photometric_interpretation", "").startswith("MONOCHROME")
    if image.kind != ImageKind.DICOM or not image.series_instance_uid or not is_grey:
        return FrameSource("", NATIVE, str(uid.ExplicitVRLittleEndian))
    path = (
        f"studies/{study.study_instance_uid}/series/{image.series_instance_uid}"
        f"/instances/{image.sop_instance_uid}/frames/1"
    )
    media_type = DECODED_IN_THE_BROWSER.get(image.transfer_syntax_uid)
    if media_type is None:
        return FrameSource(path, NATIVE, str(uid.ExplicitVRLittleEndian))
    return FrameSource(path, media_type, image.transfer_syntax_uid)


class SpacingKind(StrEnum):
    """What millimetres are measured in (PS3.3 10.7.1.3)."""

    DETECTOR = "detector"
    CALIBRATED = "calibrated"
    UNSTATED = "unstated"


@dataclass(frozen=True, slots=True)
class Spacing:
    """mm between rows and between columns."""

    between_rows: float
    between_columns: float
    kind: SpacingKind


def spacing(image: Image) -> Spacing | None:
    """Pixel Spacing that differs from Imager Pixel Spacing was corrected for the magnification; equal to it, or Imager Pixel
    Spacing alone, is at the detector, where everything is larger than in the patient. Alone it may mean either.
    """
    pixel, imager = image.header.get("pixel_spacing"), image.header.get("imager_pixel_spacing")
    if pixel and imager:
        kind = SpacingKind.DETECTOR if pixel == imager else SpacingKind.CALIBRATED
        return Spacing(pixel[0], pixel[1], kind)
    if imager:
        return Spacing(imager[0], imager[1], SpacingKind.DETECTOR)
    if pixel:
        return Spacing(pixel[0], pixel[1], SpacingKind.UNSTATED)
    return None


@dataclass(frozen=True, slots=True)
class Edges:
    """Which side of the patient lies at each edge of the image as it is stored: A, P, L, R, H or F; empty where not known."""

    top: str = ""
    right: str = ""
    bottom: str = ""
    left: str = ""

    @property
    def knows_sides(self) -> bool:
        return bool({"L", "R"} & {self.top, self.right, self.bottom, self.left})


def edges(image: Image) -> Edges:
    """Patient Orientation: where the rows run to, and the columns (PS3.3 C.7.6.1.1.1)."""
    directions = str(image.header.get("patient_orientation", "")).split("\\")
    if len(directions) != 2:
        return Edges()
    right, bottom = (direction.strip().upper()[:1] for direction in directions)
    if right not in OPPOSITE or bottom not in OPPOSITE or right in (bottom, OPPOSITE[bottom]):
        return Edges()
    return Edges(OPPOSITE[bottom], right, bottom, OPPOSITE[right])


def told_to_viewer(image: Image) -> dict[str, Any]:
    """What the viewer must know besides the frame, as JSON. Raises ``ImageRefused`` where the file has no such picture."""
    told = _viewing(image)
    known = spacing(image)
    return {
        "rows": image.rows,
        "columns": image.columns,
        **_grey_scale(told),
        "spacing": known
        and {
            "betweenRows": known.between_rows,
            "betweenColumns": known.between_columns,
            "kind": known.kind,
        },
    }


def _viewing(image: Image) -> Viewing:
    """Of the beginning of the file alone, where all of its header is: the rest is being sent to the same reader meanwhile."""
    with image.file.open("rb") as file:
        head = file.read(HEAD_BYTES)
        try:
            return viewing(head, limits=image_limits())
        except ImageRefused:
            return viewing(head + file.read(), limits=image_limits())


def _grey_scale(told: Viewing) -> dict[str, Any]:
    return {
        "bitsAllocated": told.bits_allocated,
        "bitsStored": told.bits_stored,
        "signed": told.signed,
        "table": None
        if told.table is None
        else base64.b64encode(told.table.astype("<u2").tobytes()).decode(),
        "slope": told.slope,
        "intercept": told.intercept,
        "windows": [
            {"low": window.low, "high": window.high, "explanation": window.explanation}
            for window in told.windows
        ],
        "inverse": told.inverse,
        "padding": told.padding,
    }


def samples(image: Image) -> bytes:
    """The samples of an image that DICOMweb does not serve, in little endian. Raises ``ImageRefused``."""
    array = stored_samples(_content(image), limits=image_limits())
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def _content(image: Image) -> bytes:
    with image.file.open("rb") as file:
        return file.read()


def earlier_studies(case: CaseRecord) -> list[Study]:
    """What a study is compared with: the patient's earlier studies with a picture, the latest first."""
    earlier = [
        other
        for other in case.studies
        if other.time < case.study.time and any(image.is_shown for image in other.images.all())
    ]
    return sorted(earlier, key=lambda other: other.time, reverse=True)
