"""Roads on which nobody looks at a file between its arrival and the record: C-STORE, STOW-RS, bulk import, retrieve."""

from __future__ import annotations

from pathlib import Path

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError

from diagnosis import policies
from diagnosis.intake.examine import ExaminedFile
from diagnosis.intake.receive import (
    Arrival,
    KilledDecoder,
    drop_files,
    examine_arrival,
    hold_unread,
    kept,
    known_bytes,
    refused,
    shown_name,
    shows_the_same,
    uid_twin,
)
from diagnosis.intake.reducing import Reducing
from diagnosis.intake.spool import Spool
from diagnosis.intake.submit import file_failed
from diagnosis.limits import image_limits
from diagnosis.models import Image, Road, Site, User
from diagnosis.services.arrivals import Described, file_take_in, require_same_patient
from diagnosis.services.studies import FileOutcome, Receipt
from ml.imaging import ImageRefused

__all__ = ["Described", "Road", "receive_unattended"]

NOTHING_SAID = Described()


def receive_unattended(
    *,
    actor: User,
    site: Site,
    content: bytes | Path | Spool,
    name: str,
    road: Road,
    described: Described = NOTHING_SAID,
) -> Receipt:
    """Store one file; say whether it was stored, known, held or refused, and why.

    Its header says whose it is; ``described`` counts where the header says nothing. Whatever is wrong with the file is in the
    receipt and never raised; so is what the database or the disk could not do (code ``technical_error``: the file may be sent
    again). Called again with the same bytes it stores nothing new. ``content`` is the whole file, or the path of it, which is
    only read, or what was spooled of it, which the caller closes. Raises ``PermissionDenied`` when ``actor`` may not upload at
    ``site``.
    """
    policies.require(actor, policies.Act.UPLOAD, site)
    try:
        return _receive(actor, site, content, name, road, described)
    except PermissionDenied:
        raise
    except ImageRefused as refusal:
        return refused(actor=actor, site=site, name=shown_name(name), refusal=refusal)
    except Exception as error:  # noqa: BLE001  Whatever is wrong with one file, the road stays open; file_failed logs it.
        return file_failed(actor=actor, site=site, file_name=shown_name(name), error=error)


def _receive(
    actor: User, site: Site, content: bytes | Path | Spool, name: str, road: Road, described: Described
) -> Receipt:
    image_limits().check_bytes(_size(content))
    if isinstance(content, Path):
        with Spool.copy_of(content) as spool:
            return _receive(actor, site, spool, name, road, described)
    arrival = Arrival.of(actor=actor, site=site, name=name, road=road, content=content)
    known = known_bytes(arrival)
    if known is not None:
        require_same_patient(known, described)
        return known
    if isinstance(content, Spool):
        content.sync_meanwhile()
    reducing = Reducing(site, arrival.sha256)
    try:
        examined = examine_arrival(arrival, render=False, reduction=reducing)
    except KilledDecoder:
        return hold_unread(arrival)
    receipt = None
    try:
        receipt = _decide(arrival, examined, described, reducing)
        return receipt
    finally:
        if receipt is None or receipt.outcome is not FileOutcome.STORED:
            reducing.drop()


def _decide(arrival: Arrival, examined: ExaminedFile, described: Described, reducing: Reducing) -> Receipt:
    twin = uid_twin(arrival, examined)
    same_picture_as = twin if twin is not None and shows_the_same(arrival, twin) else None
    try:
        return _take_in(arrival, examined, described, same_picture_as, reducing)
    except IntegrityError:
        # Somebody brought the same patient, study or image at the same moment; now it is there to be found.
        return known_bytes(arrival) or _take_in(arrival, examined, described, same_picture_as, reducing)


def _size(content: bytes | Path | Spool) -> int:
    if isinstance(content, Spool):
        return content.size
    return content.stat().st_size if isinstance(content, Path) else len(content)


def _take_in(
    arrival: Arrival,
    examined: ExaminedFile,
    described: Described,
    same_picture_as: Image | None,
    reducing: Reducing,
) -> Receipt:
    with kept(arrival, examined) as received:
        receipt = file_take_in(
            actor=arrival.actor,
            received=received,
            described=described,
            same_picture_as=same_picture_as,
            before_messages=reducing.wait,
        )
    if receipt.outcome is FileOutcome.DUPLICATE:
        drop_files(received)
    return receipt
