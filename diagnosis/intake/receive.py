"""The one way in: every road has its files examined and kept here, before anything else is decided about them."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import unicodedata
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError
from django.utils.translation import gettext_noop

from diagnosis import policies
from diagnosis.intake.analysable import why_not_analysed
from diagnosis.intake.decoder import DecoderDied, Reduction, examine_apart, same_picture_apart
from diagnosis.intake.deidentified import DeidentifiedFile, deidentified
from diagnosis.intake.examine import ExaminedFile
from diagnosis.intake.refused import refusal_sentence
from diagnosis.intake.spool import Spool, SpooledFile
from diagnosis.limits import image_limits
from diagnosis.models import HeldReason, Image, IncomingFile, NotAnalysed, Road, Site, StoredFile, User
from diagnosis.sentences import Sentence
from diagnosis.services.arrivals import twin_hold, why_hold_twin
from diagnosis.services.held import (
    MAX_CRASHES,
    decode_crash_record,
    decode_crashes,
    held_already,
    image_of_held,
)
from diagnosis.services.studies import (
    SAME_BYTES,
    SAME_PICTURE,
    FileOutcome,
    Receipt,
    file_duplicate,
    file_hold,
    file_refuse,
    held_receipt,
    incoming_file_add,
    stored_twin,
)
from ml.imaging import FileKind, ImageRefused, sniff

WAITING_ALREADY = Sentence(gettext_noop("This file is waiting for your confirmation already."))

#: What keeps an object from being shown, and makes it no worse: it is kept with its study where it is not to be analysed anyway.
#: All other refusals mean that the file is damaged.
HARMLESS = frozenset(
    {
        "no_pixel_data",
        "several_frames",
        "for_processing",
        "not_grey",
        "unsupported_samples",
        "unsupported_transfer_syntax",
        "contradictory_polarity",
        "too_many_pixels",
        "too_much_memory",
    }
)


class KilledDecoder(Exception):  # noqa: N818  Named for what the file did.
    """Reading the file ended its process once too often."""


@dataclasses.dataclass(frozen=True, slots=True)
class Arrival:
    """One file as it came."""

    actor: User
    site: Site
    name: str
    road: Road
    source: bytes | Spool
    sha256: str

    @classmethod
    def of(cls, *, actor: User, site: Site, name: str, road: Road, content: bytes | Spool) -> Arrival:
        sha256 = content.sha256 if isinstance(content, Spool) else hashlib.sha256(content).hexdigest()
        return cls(actor, site, shown_name(name), road, content, sha256)

    @property
    def content(self) -> bytes:
        return self.source.read() if isinstance(self.source, Spool) else self.source

    @property
    def for_decoder(self) -> bytes | Path:
        return self.source.path if isinstance(self.source, Spool) else self.source

    @property
    def for_storage(self) -> File:
        return SpooledFile(self.source) if isinstance(self.source, Spool) else ContentFile(self.source)


def receive_file(*, actor: User, site: Site, upload: UploadedFile, road: Road = Road.WEB) -> Receipt:
    """Examine one file and keep it until its patient is confirmed; or say why not.

    A refusal is an answer, not an exception: one bad file never stops the others. Raises ``PermissionDenied``, and what the
    storage, the database and the decoder's process raise when they do not work.
    """
    policies.require(actor, policies.Act.UPLOAD, site)
    name = shown_name(upload.name or "")
    try:
        image_limits().check_bytes(upload.size or 0)
        arrival = Arrival.of(actor=actor, site=site, name=name, road=road, content=upload.read())
        known = known_bytes(arrival) or _waiting(arrival)
        if known is not None:
            return known  # Its bytes were examined when they came first.
        examined = examine_arrival(arrival, render=True)
    except ImageRefused as refusal:
        return refused(actor=actor, site=site, name=name, refusal=refusal)
    except KilledDecoder:
        return hold_unread(arrival)
    twin = uid_twin(arrival, examined)
    try:
        return _wait(arrival, examined) if twin is None else _decide_twin(arrival, examined, twin)
    except IntegrityError:
        # The same person sent it twice at the same moment.
        known = known_bytes(arrival) or _waiting(arrival)
        if known is None:
            raise
        return known


def _wait(arrival: Arrival, examined: ExaminedFile) -> Receipt:
    with kept(arrival, examined) as received:
        incoming_file_add(actor=arrival.actor, incoming=received)
    return Receipt(arrival.name, FileOutcome.WAITING, received.not_analysed_reason, incoming=received)


def refused(*, actor: User, site: Site, name: str, refusal: ImageRefused) -> Receipt:
    file_refuse(actor=actor, site=site, code=refusal.code)
    return Receipt(name, FileOutcome.REFUSED, refusal_sentence(refusal), code=refusal.code)


def known_bytes(arrival: Arrival) -> Receipt | None:
    """The receipt of a file whose bytes are stored or held at the site already; ``None`` for a new one."""
    twin = stored_twin(site=arrival.site, sha256=arrival.sha256, sop_instance_uid="") or image_of_held(
        site=arrival.site, sha256=arrival.sha256
    )
    if twin is not None:
        file_duplicate(actor=arrival.actor, image=twin)
        return Receipt(arrival.name, FileOutcome.DUPLICATE, SAME_BYTES, image=twin)
    held = held_already(site=arrival.site, sha256=arrival.sha256)
    return held_receipt(arrival.name, held) if held else None


def _waiting(arrival: Arrival) -> Receipt | None:
    waiting = IncomingFile.objects.filter(
        uploaded_by=arrival.actor, site=arrival.site, sha256=arrival.sha256
    ).first()
    if waiting is None:
        return None
    return Receipt(arrival.name, FileOutcome.WAITING, WAITING_ALREADY, incoming=waiting, was_waiting=True)


def examine_arrival(arrival: Arrival, *, render: bool, reduction: Reduction | None = None) -> ExaminedFile:
    """Read the file to its end, in a process of its own; ``render`` it where somebody is to look at it at once.

    Raises ``ImageRefused`` with a sentence for the person, and ``KilledDecoder`` for a file that ends that process again.
    """
    crashes = decode_crashes(arrival.sha256)
    while crashes < MAX_CRASHES:
        try:
            examined = examine_apart(arrival.for_decoder, render=render, reduction=reduction)
            if examined.unshown_code:
                _require_kept_unshown(examined)
            return deidentified(arrival.site, arrival.for_decoder, examined)
        except DecoderDied:
            crashes = decode_crash_record(arrival.sha256)
    raise KilledDecoder


def _require_kept_unshown(examined: ExaminedFile) -> None:
    if examined.unshown_code not in HARMLESS or not_analysed(examined) is None:
        raise ImageRefused(*examined.unshown)
    if examined.damage:
        raise ImageRefused(*examined.damage)


def not_analysed(examined: ExaminedFile) -> NotAnalysed | None:
    return why_not_analysed(examined.header) if examined.kind is FileKind.DICOM else None


def uid_twin(arrival: Arrival, examined: ExaminedFile) -> Image | None:
    """The stored image with the SOP Instance UID of this file, whose bytes are others."""
    uid = examined.header.get("sop_instance_uid", "")
    return stored_twin(site=arrival.site, sha256=arrival.sha256, sop_instance_uid=uid) if uid else None


def shows_the_same(arrival: Arrival, twin: Image) -> bool:
    """Whether the stored image shows the same, pixel by pixel."""
    with twin.file.open("rb") as file:
        try:
            return same_picture_apart(file.read(), arrival.for_decoder)
        except DecoderDied:
            return False


def _decide_twin(arrival: Arrival, examined: ExaminedFile, twin: Image) -> Receipt:
    code = why_hold_twin(twin, examined.header, same_picture=shows_the_same(arrival, twin))
    if code is None:
        file_duplicate(actor=arrival.actor, image=twin)
        return Receipt(arrival.name, FileOutcome.DUPLICATE, SAME_PICTURE, image=twin)
    with kept(arrival, examined) as received:
        return twin_hold(actor=arrival.actor, received=received, twin=twin, code=code)


def hold_unread(arrival: Arrival) -> Receipt:
    """Keep the bytes of a file that cannot be read, for an administrator."""
    kind = sniff(arrival.content) or FileKind.DICOM
    nothing_known = ExaminedFile(kind=kind, rows=None, columns=None, header={})
    with kept(arrival, nothing_known) as received:
        held = file_hold(actor=arrival.actor, received=received, code=HeldReason.KILLED_DECODER)
    return held_receipt(arrival.name, held)


@contextlib.contextmanager
def kept(arrival: Arrival, examined: ExaminedFile) -> Iterator[IncomingFile]:
    """Write the file and the renderings that were made, then let the caller write a row from the unsaved one that is given.

    Files first: a row never points to a file that is not there. Where the caller raises, the files go; where this process dies
    in between, the sweeper finds them.
    """
    key = uuid.uuid4()
    original, sha256, copy = arrival.for_storage, arrival.sha256, {}
    if isinstance(examined, DeidentifiedFile):
        original, sha256 = ContentFile(examined.content), examined.sha256
        copy = {"stored_sha256": sha256, "stored_header": examined.stored_header}
    files: dict[str, tuple[str, File]] = {"file": (f"originals/{sha256}-{key.hex}", original)}
    if examined.is_shown:
        files["preview"] = (f"previews/{key}.jpg", ContentFile(examined.preview))
        files["thumbnail"] = (f"thumbnails/{key}.jpg", ContentFile(examined.thumbnail))
    saved: dict[str, str] = {}
    try:
        for field, (name, file) in files.items():
            with file:
                # What was not rendered is, under its name, once somebody looks.
                saved[field] = default_storage.save(name, file) if file.size else name
        yield IncomingFile(
            id=key,
            site=arrival.site,
            uploaded_by=arrival.actor,
            original_name=arrival.name,
            kind=examined.kind.value,
            sha256=arrival.sha256,
            size=original.size,
            rows=examined.rows,
            columns=examined.columns,
            header=examined.header,
            road=arrival.road,
            not_analysed_code=not_analysed(examined) or "",
            **saved,
            **copy,
        )
    except BaseException:
        for path in saved.values():
            default_storage.delete(path)
        raise


def drop_files(received: StoredFile) -> None:
    """Delete the files of a row that was never written."""
    for path in received.stored_names:
        default_storage.delete(path)


def shown_name(name: str) -> str:
    """The sender's file name, fit to be shown: no folders, no control or direction-changing characters, 255 at most."""
    base = PurePosixPath(name.replace("\\", "/")).name
    clean = "".join(char for char in base if unicodedata.category(char) not in {"Cc", "Cf", "Cs"}).strip()
    return clean[:255] or "unnamed file"
