"""Files that come in pieces: kept until all bytes are here, then handed to ``receive_file``, once."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import logging
import uuid
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from diagnosis import policies
from diagnosis.errors import Conflict, PersonError
from diagnosis.intake.receive import receive_file, shown_name
from diagnosis.intake.submit import file_failed
from diagnosis.limits import image_limits
from diagnosis.models import ResumableUpload, Site, UploadState, User
from diagnosis.services.studies import FileOutcome, Receipt, file_refuse
from ml.imaging import ImageRefused

logger = logging.getLogger(__name__)

#: The longest piece, and the unit of ``content_fingerprint``. What a broken connection costs at most; a phone in a
#: ward with 5 Mbit/s sends one in 7 s.
PIECE_BYTES = 4 * 2**20

#: Examining one file takes seconds. Whoever has not said anything for so long has died.
EXAMINED_WITHIN = dt.timedelta(minutes=5)

_PIECES = "pieces"

DAMAGED = (
    "What arrived is not what was chosen: the file changed while it was sent, or was damaged on the way. Nothing of it was "
    "kept. Choose the file again and send it anew."
)


class TooLarge(PersonError):  # noqa: N818  Named for what the person is told.
    """The file is larger than this installation takes (HTTP 413)."""

    code = "too_large"


class TooMuchUnfinished(PersonError):  # noqa: N818  The same.
    """The person has begun more than may wait to be completed (HTTP 429)."""

    code = "too_much_unfinished"


def content_fingerprint(content: bytes) -> str:
    """SHA-256 in hex over the SHA-256 digests of each ``PIECE_BYTES`` of ``content``.

    Of this kind because a browser can compute it with the memory of one piece: its Web Crypto digests whole arrays only.
    """
    digests = (
        hashlib.sha256(content[start : start + PIECE_BYTES]).digest()
        for start in range(0, len(content), PIECE_BYTES)
    )
    return hashlib.sha256(b"".join(digests)).hexdigest()


def own_uploads(user: User) -> QuerySet[ResumableUpload]:
    """The uploads of ``user`` at the hospitals where ``user`` still has a role; nobody else ever sees them."""
    return ResumableUpload.objects.visible_to(user).filter(uploaded_by=user).select_related("site")


def uploads_to_show(user: User) -> QuerySet[ResumableUpload]:
    """Uploads that ``user`` can go on with, or was not told the end of."""
    unsettled = own_uploads(user).exclude(state=UploadState.DONE, is_told=True)
    return unsettled.filter(expires_at__gt=timezone.now())


def upload_begin(
    *,
    actor: User,
    site: Site,
    upload_id: uuid.UUID,
    file_name: str,
    length: int,
    fingerprint: str,
    expires_at: dt.datetime,
) -> ResumableUpload:
    """Expect a file of ``length`` bytes. It has no rights over a file that comes whole: what it is, its content decides.

    Raises ``PermissionDenied``; ``TooLarge``; ``TooMuchUnfinished`` where the person's unfinished uploads reach the limit.
    """
    policies.require(actor, policies.Act.UPLOAD, site)
    try:
        # An empty one begins like any other, so that its refusal is on record.
        image_limits().check_bytes(max(length, 1))
    except ImageRefused as refusal:
        raise TooLarge(str(refusal)) from None
    unfinished = own_uploads(actor).filter(state=UploadState.RECEIVING, expires_at__gt=timezone.now())
    if (unfinished.aggregate(sum=Sum("length"))["sum"] or 0) + length > settings.CXR_UNFINISHED_UPLOAD_BYTES:
        raise TooMuchUnfinished(
            "You have begun more uploads than can wait to be completed. Complete those that were interrupted, or throw them "
            "away, and send this file again."
        )
    return ResumableUpload.objects.create(
        id=upload_id,
        site=site,
        uploaded_by=actor,
        file_name=shown_name(file_name),
        length=length,
        fingerprint=fingerprint,
        state=UploadState.RECEIVING if length else UploadState.COMPLETE,
        expires_at=expires_at,
    )


def piece_store(*, upload: ResumableUpload, data: bytes) -> str:
    """Store the bytes after ``upload.offset``; they count once ``piece_count`` was told their name."""
    name = f"{_folder(upload.pk)}/{upload.offset:015d}-{uuid.uuid4().hex}"
    return default_storage.save(name, ContentFile(data))


def piece_count(*, upload: ResumableUpload, name: str, size: int) -> bool:
    """Move ``upload`` on by a stored piece. ``False``, and the piece is gone, if another piece was faster."""
    offset = upload.offset + size
    state = UploadState.COMPLETE if offset == upload.length else UploadState.RECEIVING
    pieces = [*upload.pieces, name]
    moved = ResumableUpload.objects.filter(
        pk=upload.pk, state=UploadState.RECEIVING, offset=upload.offset
    ).update(offset=offset, state=state, pieces=pieces)
    if not moved:
        default_storage.delete(name)
        return False
    upload.offset, upload.state, upload.pieces = offset, state, pieces
    return True


@transaction.atomic
def upload_discard(*, actor: User, upload: ResumableUpload) -> None:
    """Throw away what has arrived. Raises ``Conflict`` while the file is being examined."""
    policies.require(actor, policies.Act.UPLOAD, upload.site)
    deleted, _ = (
        own_uploads(actor)
        .exclude(state__in=[UploadState.COMPLETE, UploadState.EXAMINING])
        .filter(pk=upload.pk)
        .delete()
    )
    if not deleted:
        raise Conflict("This file has arrived and is being examined. Wait until its result is here.")
    transaction.on_commit(functools.partial(_delete_pieces, upload.pk))


def upload_examine(*, upload_id: uuid.UUID) -> ResumableUpload | None:
    """Hand a complete upload to the intake, if nobody did or does; returns the upload as it is then, ``None`` when it is gone.

    Of several callers one examines. One that died in the middle is followed by another after ``EXAMINED_WITHIN``: the
    intake stores the same bytes once, whoever brings them.
    """
    until = timezone.now() + EXAMINED_WITHIN
    claimed = (
        ResumableUpload.objects.filter(pk=upload_id)
        .filter(Q(state=UploadState.COMPLETE) | _abandoned())
        .update(state=UploadState.EXAMINING, examined_until=until)
    )
    upload = ResumableUpload.objects.select_related("site", "uploaded_by").filter(pk=upload_id).first()
    if not claimed or upload is None:
        return upload
    receipts = [_as_json(_receive(upload))]
    settled = ResumableUpload.objects.filter(
        pk=upload_id, state=UploadState.EXAMINING, examined_until=until
    ).update(state=UploadState.DONE, examined_until=None, receipts=receipts, pieces=[])
    if settled:
        _delete_pieces(upload_id)
    return ResumableUpload.objects.select_related("site").filter(pk=upload_id).first()


def _abandoned() -> Q:
    return Q(state=UploadState.EXAMINING, examined_until__lt=timezone.now())


def _receive(upload: ResumableUpload) -> Receipt:
    actor, site, name = upload.uploaded_by, upload.site, upload.file_name
    try:
        content = b"".join(_stored(upload))
        if upload.fingerprint and upload.fingerprint != content_fingerprint(content):
            file_refuse(actor=actor, site=site, code="damaged_on_the_way")
            return Receipt(name, FileOutcome.REFUSED, DAMAGED, code="damaged_on_the_way")
        return receive_file(actor=actor, site=site, upload=SimpleUploadedFile(name, content))
    except Exception as error:  # noqa: BLE001  Whatever is wrong, the sender gets an answer; file_failed logs it.
        return file_failed(actor=actor, site=site, file_name=name, error=error)


def _stored(upload: ResumableUpload) -> Iterator[bytes]:
    for name in upload.pieces:
        with default_storage.open(name) as piece:
            yield piece.read()


def _as_json(receipt: Receipt) -> dict[str, Any]:
    return {
        "file_name": receipt.file_name,
        "outcome": receipt.outcome.value,
        "reason": receipt.reason,
        "code": receipt.code,
        "study_id": str(receipt.image.study_id) if receipt.image else "",
    }


def upload_tell(*, upload: ResumableUpload) -> None:
    """Remember that the sender was given the result."""
    ResumableUpload.objects.filter(pk=upload.pk, state=UploadState.DONE).update(is_told=True)


def uploads_sweep() -> int:
    """Examine what is complete and was forgotten, and remove what has expired; returns how many were removed.

    Forgotten is what was complete when its web process died. Bytes without a row are those of a process that died between
    the two, or of a removal that did.
    """
    now = timezone.now()
    forgotten = ResumableUpload.objects.filter(
        _abandoned() | Q(state=UploadState.COMPLETE, created_at__lt=now - EXAMINED_WITHIN)
    )
    for upload_id in forgotten.values_list("pk", flat=True):
        upload_examine(upload_id=upload_id)
    expired = ResumableUpload.objects.filter(
        expires_at__lt=now, state__in=[UploadState.RECEIVING, UploadState.DONE]
    )
    removed, _ = expired.delete()
    if default_storage.exists(_PIECES):
        folders, _ = default_storage.listdir(_PIECES)
        for folder in set(folders) - _known(folders):
            _delete_pieces(folder)
    return removed


def _known(folders: list[str]) -> set[str]:
    return {str(key) for key in ResumableUpload.objects.filter(pk__in=folders).values_list("pk", flat=True)}


def _folder(upload_id: uuid.UUID | str) -> str:
    return f"{_PIECES}/{upload_id}"


def _delete_pieces(upload_id: uuid.UUID | str) -> None:
    """Remove all bytes of an upload, those that never counted too."""
    folder = _folder(upload_id)
    try:
        if not default_storage.exists(folder):
            return
        for name in default_storage.listdir(folder)[1]:
            default_storage.delete(f"{folder}/{name}")
        default_storage.delete(folder)
    except OSError:
        # A piece that comes at this moment; the next sweep finds it.
        logger.warning("Pieces of an upload could not be removed now.", extra={"upload": str(upload_id)})
