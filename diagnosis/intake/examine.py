"""Bytes to an examined file: what does it say about itself, and what does it show? Needs no Django: it runs in the decoder's
process.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import numpy as np

from diagnosis.intake.dicom_header import read_header
from ml.imaging import (
    FileKind,
    ImageRefused,
    Limits,
    check_image,
    check_object,
    load_image,
    render_views,
    sniff,
)


@dataclasses.dataclass(frozen=True, slots=True)
class ExaminedFile:
    """A file that was read to the end.

    ``header`` is the ``DicomHeader`` as JSON holds it (dates and times in ISO 8601), empty for a picture without one.
    ``preview`` and ``thumbnail`` are JPEG without metadata, empty where they were not asked for. For a DICOM object whose content
    cannot be shown ``unshown_code`` and ``unshown_reason`` say why: a code of ``ml.imaging.REFUSALS`` and its sentence;
    ``damage_code`` and ``damage_reason`` the same of an object that is not whole, whatever could be shown of it.
    """

    kind: FileKind
    rows: int | None
    columns: int | None
    header: dict[str, Any]
    preview: bytes = b""
    thumbnail: bytes = b""
    unshown_code: str = ""
    unshown_reason: str = ""
    damage_code: str = ""
    damage_reason: str = ""

    @property
    def is_shown(self) -> bool:
        """Whether every pixel of it was decoded, so that there can be a picture of it."""
        return bool(self.rows and self.columns and not self.unshown_code)


def examine(content: bytes, limits: Limits, *, render: bool = True) -> ExaminedFile:
    """Decode the whole file once, and ``render`` what a person looks at or leave that for later.

    Raises ``ml.imaging.ImageRefused`` for what is no image and no DICOM object.
    """
    header: dict[str, Any] = {}
    if sniff(content) is FileKind.DICOM:
        said = read_header(content, limits=limits)
        header = json.loads(json.dumps(dataclasses.asdict(said), default=_iso))
    preview = thumbnail = b""
    try:
        if render:
            image = load_image(content, limits=limits)
            kind, rows, columns = image.kind, image.rows, image.columns
            preview, thumbnail = render_views(image.pixels)
        else:
            kind, rows, columns = check_image(content, limits=limits)
    except ImageRefused as refusal:
        if not header:
            raise
        damage = _damage(content, limits)
        return ExaminedFile(
            kind=FileKind.DICOM,
            rows=header["rows"],
            columns=header["columns"],
            header=header,
            unshown_code=refusal.code,
            unshown_reason=str(refusal),
            damage_code=damage.code if damage else "",
            damage_reason=str(damage) if damage else "",
        )
    return ExaminedFile(
        kind=kind, rows=rows, columns=columns, header=header, preview=preview, thumbnail=thumbnail
    )


def _damage(content: bytes, limits: Limits) -> ImageRefused | None:
    try:
        check_object(content, limits=limits)
    except ImageRefused as damage:
        return damage
    return None


def _iso(value: dt.date | dt.time) -> str:
    return value.isoformat()


def same_picture(first: bytes, second: bytes, limits: Limits) -> bool:
    """Whether two files show the same, pixel by pixel; what cannot be shown is never the same."""
    try:
        pictures = [load_image(content, limits=limits).pixels for content in (first, second)]
    except ImageRefused:
        return False
    return np.array_equal(pictures[0], pictures[1])
