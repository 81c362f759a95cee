"""Bytes to an examined file: what does it say about itself, and what does it show? Needs no Django: it runs in the decoder's
process.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from diagnosis.intake.dicom_header import read_header
from ml.imaging import (
    CheckedImage,
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
    cannot be shown ``unshown`` says why: what an ``ImageRefused`` is made of, its code first; ``damage`` the same of an object
    that is not whole, whatever could be shown of it.
    """

    kind: FileKind
    rows: int | None
    columns: int | None
    header: dict[str, Any]
    preview: bytes = b""
    thumbnail: bytes = b""
    unshown: Sequence[Any] = ()
    damage: Sequence[Any] = ()

    @property
    def is_shown(self) -> bool:
        """Whether every pixel of it was decoded, so that there can be a picture of it."""
        return bool(self.rows and self.columns and not self.unshown)

    @property
    def unshown_code(self) -> str:
        return self.unshown[0] if self.unshown else ""


def examine(content: bytes, limits: Limits, *, render: bool = True) -> ExaminedFile:
    """Decode the whole file once, and ``render`` what a person looks at or leave that for later.

    Raises ``ml.imaging.ImageRefused`` for what is no image and no DICOM object.
    """
    return examine_open(content, limits, render=render)[0]


def examine_open(
    content: bytes, limits: Limits, *, render: bool = True
) -> tuple[ExaminedFile, CheckedImage | None]:
    """``examine``, and what was decoded: ``None`` where it was rendered, or cannot be shown."""
    header: dict[str, Any] = {}
    if sniff(content) is FileKind.DICOM:
        said = read_header(content, limits=limits)
        header = json.loads(json.dumps(dataclasses.asdict(said), default=_iso))
    try:
        examined, checked = _shown(content, limits, header, render=render)
    except ImageRefused as refusal:
        if not header:
            raise
        damage = _damage(content, limits)
        unshown = ExaminedFile(
            kind=FileKind.DICOM,
            rows=header["rows"],
            columns=header["columns"],
            header=header,
            unshown=refusal.args,
            damage=damage.args if damage else (),
        )
        return unshown, None
    return examined, checked


def _shown(
    content: bytes, limits: Limits, header: dict[str, Any], *, render: bool
) -> tuple[ExaminedFile, CheckedImage | None]:
    """A file that can be shown; of a DICOM object of several frames its first. Raises ``ImageRefused``."""
    if (header.get("number_of_frames") or 1) > 1:
        try:
            return _read(content, limits, header, render=render, first_frame=True)
        except ImageRefused:
            check_image(content, limits=limits)  # Says what is to be said of the object.
            raise
    return _read(content, limits, header, render=render, first_frame=False)


def _read(
    content: bytes, limits: Limits, header: dict[str, Any], *, render: bool, first_frame: bool
) -> tuple[ExaminedFile, CheckedImage | None]:
    if not render:
        checked = check_image(content, limits=limits, first_frame=first_frame)
        return ExaminedFile(checked.kind, checked.rows, checked.columns, header), checked
    image = load_image(content, limits=limits, first_frame=first_frame)
    preview, thumbnail = render_views(image.pixels)
    return ExaminedFile(image.kind, image.rows, image.columns, header, preview, thumbnail), None


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
