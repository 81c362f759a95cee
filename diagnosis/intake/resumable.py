"""Files that come in pieces: kept until all bytes are here, then handed to ``receive_file``, once."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
import io
import logging
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import IO, Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from diagnosis import policies
from diagnosis.errors import Conflict, PersonError
from diagnosis.intake.archive import ArchivedFile, archived_files, is_archive
from diagnosis.intake.pieces import Pieces
from diagnosis.intake.receive import receive_file, shown_name
from diagnosis.intake.submit import file_failed
from diagnosis.models import ResumableUpload, Site, UploadState, User
from diagnosis.sentences import Sentence
from diagnosis.services.outbox import message_enqueue
from diagnosis.services.studies import FileOutcome, Receipt, file_refuse
from ml.imaging import SNIFF_BYTES

logger = logging.getLogger(__name__)

#: The longest piece, and the unit of ``content_fingerprint``. What a broken connection costs at most; a phone in a
#: ward with 5 Mbit/s sends one in 7 s.
PIECE_BYTES = 4 * 2**20

#: Examining one file takes seconds. Whoever has not said anything for so long has died.
EXAMINED_WITHIN = dt.timedelta(minutes=5)

_PIECES = "pieces"

EMPTY_ARCHIVE = Sentence(
    gettext_noop(
        "The archive holds no file that could be an image. Look into it, and send the images themselves."
    )
)


class Damaged(PersonError):  # noqa: N818  Named for what the person is told.
    """What arrived is not what was sent."""

    code = "damaged_on_the_way"


class TooLarge(PersonError):  # noqa: N818  Named for what the person is told.
    """The file is larger than this installation takes (HTTP 413)."""

    code = "too_large"


class TooMuchUnfinished(PersonError):  # noqa: N818  The same.
    """The person has begun more than may wait to be completed (HTTP 429)."""

    code = "too_much_unfinished"


class Fingerprint:
    """SHA-256 over the SHA-256 digests of each ``PIECE_BYTES`` of a content.

    Of this kind because a browser can compute it with the memory of one piece: its Web Crypto digests whole arrays only.
    """

    def __init__(self) -> None:
        self._digests = hashlib.sha256()
        self._piece = hashlib.sha256()
        self._left = PIECE_BYTES

    def update(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            part, view = view[: self._left], view[self._left :]
            self._piece.update(part)
            self._left -= len(part)
            if not self._left:
                self._digests.update(self._piece.digest())
                self._piece, self._left = hashlib.sha256(), PIECE_BYTES

    def hexdigest(self) -> str:
        digests = self._digests.copy()
        if self._left < PIECE_BYTES:
            digests.update(self._piece.digest())
        return digests.hexdigest()


def content_fingerprint(content: bytes) -> str:
    """The fingerprint of a whole content, in hex."""
    fingerprint = Fingerprint()
    fingerprint.update(content)
    return fingerprint.hexdigest()


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
    """Expect a file of ``length`` bytes. Its name says no more than which limit it is under; what it is, its content decides.

    Raises ``PermissionDenied``; ``TooLarge``; ``TooMuchUnfinished`` where the person's unfinished uploads reach the limit.
    """
    policies.require(actor, policies.Act.UPLOAD, site)
    most = longest_upload(file_name)
    if length > most:
        raise TooLarge(
            Sentence(
                gettext_noop(
                    "The file is larger than the limit of {megabytes} MB. Export the single image again, with compression "
                    "if need be; send an archive in several smaller ones."
                ),
                megabytes=most // 2**20,
            )
        )
    unfinished = own_uploads(actor).filter(state=UploadState.RECEIVING, expires_at__gt=timezone.now())
    if (unfinished.aggregate(sum=Sum("length"))["sum"] or 0) + length > settings.CXR_UNFINISHED_UPLOAD_BYTES:
        raise TooMuchUnfinished(
            Sentence(
                gettext_noop(
                    "You have begun more uploads than can wait to be completed. Complete those that were interrupted, "
                    "or throw them "
                    "away, and send this file again."
                )
            )
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


def longest_upload(file_name: str) -> int:
    """The most bytes that a file of this name may have; what it turns out to be is bounded again."""
    is_archive_by_name = file_name.lower().endswith(".zip")
    return settings.CXR_ARCHIVE_MAX_BYTES if is_archive_by_name else settings.CXR_MAX_UPLOAD_BYTES


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
    deleted, _unused = (
        own_uploads(actor)
        .exclude(state__in=[UploadState.COMPLETE, UploadState.EXAMINING])
        .filter(pk=upload.pk)
        .delete()
    )
    if not deleted:
        raise Conflict(_("This file has arrived and is being examined. Wait until its result is here."))
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
    if _holds_archive(upload):
        # Hundreds of files are no work for a request.
        with transaction.atomic():
            _enqueue(upload)
        return upload
    _settle(upload, [_as_json(_receive(upload))])
    return upload


def _settle(upload: ResumableUpload, receipts: list[dict[str, Any]]) -> None:
    """Keep what became of it, unless somebody took the upload over."""
    settled = _still_ours(upload).update(
        state=UploadState.DONE, examined_until=None, receipts=receipts, pieces=[]
    )
    if settled:
        _delete_pieces(upload.pk)
    upload.refresh_from_db()


def _still_ours(upload: ResumableUpload) -> QuerySet[ResumableUpload]:
    return ResumableUpload.objects.filter(
        pk=upload.pk, state=UploadState.EXAMINING, examined_until=upload.examined_until
    )


def _enqueue(upload: ResumableUpload) -> None:
    until = upload.examined_until
    message_enqueue(
        task="diagnosis.tasks.examine_archive",
        kwargs={"upload_id": str(upload.pk), "examined_until": until.isoformat() if until else ""},
    )


def archive_examine(*, upload_id: uuid.UUID, examined_until: dt.datetime) -> None:
    """Hand the files of a complete archive to the intake, as many as a task has time for; then let another task go on.

    ``examined_until`` is the lease that the message was sent under: of two messages one acts. What was handed over is
    written down file by file, so that a task that dies loses one file's receipt at most, and not the file.
    """
    until = timezone.now() + EXAMINED_WITHIN
    claimed = ResumableUpload.objects.filter(
        pk=upload_id, state=UploadState.EXAMINING, examined_until=examined_until
    ).update(examined_until=until)
    if not claimed:
        return
    upload = ResumableUpload.objects.select_related("site", "uploaded_by").get(pk=upload_id)
    stop_at = time.monotonic() + settings.CXR_ANALYSIS_TIME_LIMIT / 4
    receipts = list(upload.receipts)
    # Those of before a new version of the portal have no position, and every file of them has a receipt.
    start = receipts[-1].get("position", len(receipts) - 1) + 1 if receipts else 0
    try:
        if not receipts:
            _check_fingerprint(upload)
        for file in archived_files(_opened(upload), start=start):
            if time.monotonic() > stop_at:
                with transaction.atomic():
                    _enqueue(upload)
                return
            receipts.append(_as_json(_receive_member(upload, file)) | {"position": file.position})
            _still_ours(upload).update(receipts=receipts)
    except Exception as error:  # noqa: BLE001  As in _receive.
        receipts.append(_as_json(_failed(upload, error)))
    if not receipts:
        file_refuse(actor=upload.uploaded_by, site=upload.site, code="archive_empty")
        empty = Receipt(upload.file_name, FileOutcome.REFUSED, EMPTY_ARCHIVE, code="archive_empty")
        receipts.append(_as_json(empty))
    _settle(upload, receipts)


def _abandoned() -> Q:
    return Q(state=UploadState.EXAMINING, examined_until__lt=timezone.now())


def _receive(upload: ResumableUpload) -> Receipt:
    try:
        _check_fingerprint(upload)
        return _receive_bytes(upload, upload.file_name, b"".join(_stored(upload)))
    except Exception as error:  # noqa: BLE001  Whatever is wrong, the sender gets an answer; file_failed logs it.
        return _failed(upload, error)


def _receive_member(upload: ResumableUpload, file: ArchivedFile) -> Receipt:
    """One bad file never stops the others."""
    name = _shown_path(file.name)
    try:
        if file.content is None:
            file_refuse(actor=upload.uploaded_by, site=upload.site, code=file.code)
            return Receipt(name, FileOutcome.REFUSED, file.reason, code=file.code)
        return replace(_receive_bytes(upload, file.name, file.content), file_name=name)
    except Exception as error:  # noqa: BLE001  As in _receive.
        return replace(_failed(upload, error), file_name=name)


def _receive_bytes(upload: ResumableUpload, name: str, content: bytes) -> Receipt:
    file = SimpleUploadedFile(name, content)
    return receive_file(actor=upload.uploaded_by, site=upload.site, upload=file)


def _failed(upload: ResumableUpload, error: Exception) -> Receipt:
    return file_failed(actor=upload.uploaded_by, site=upload.site, file_name=upload.file_name, error=error)


def _shown_path(name: str) -> str:
    """Where a file lies in its archive: CDs call every file alike."""
    return "/".join(shown_name(part) for part in name.replace("\\", "/").split("/") if part)[-255:]


def _holds_archive(upload: ResumableUpload) -> bool:
    try:
        return bool(upload.pieces) and is_archive(next(_stored(upload))[:SNIFF_BYTES])
    except OSError:
        return False  # What reads it whole says so.


def _check_fingerprint(upload: ResumableUpload) -> None:
    """Raises ``Damaged`` where the pieces are not what the sender announced."""
    if not upload.fingerprint:
        return
    fingerprint = Fingerprint()
    for piece in _stored(upload):
        fingerprint.update(piece)
    if upload.fingerprint != fingerprint.hexdigest():
        raise Damaged(
            Sentence(
                gettext_noop(
                    "What arrived is not what was chosen: the file changed while it was sent, or was damaged on the "
                    "way. Nothing of it "
                    "was kept. Choose the file again and send it anew."
                )
            )
        )


def _opened(upload: ResumableUpload) -> IO[bytes]:
    """The whole file, whose pieces are read when they are asked for: a long archive takes no room on the disk a second time."""
    starts = [int(PurePosixPath(name).name.partition("-")[0]) for name in upload.pieces]

    def read_piece(number: int) -> bytes:
        with default_storage.open(upload.pieces[number]) as piece:
            return bytes(piece.read())

    return io.BufferedReader(Pieces(starts, upload.length, read_piece))


def _stored(upload: ResumableUpload) -> Iterator[bytes]:
    for name in upload.pieces:
        with default_storage.open(name) as piece:
            yield piece.read()


def _as_json(receipt: Receipt) -> dict[str, Any]:
    return {
        "file_name": receipt.file_name,
        "outcome": receipt.outcome.value,
        "reason": Sentence.of(receipt.reason).kept(),
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
    removed, _unused = expired.delete()
    for upload_id in _uploads_with_pieces() - _uploads_with_rows():
        _delete_pieces(upload_id)
    return removed


def _uploads_with_pieces() -> set[uuid.UUID]:
    found = set()
    for folder in _listed(_PIECES)[0]:
        with contextlib.suppress(ValueError):  # Not of our making.
            found.add(uuid.UUID(folder))
    return found


def _uploads_with_rows() -> set[uuid.UUID]:
    return set(ResumableUpload.objects.values_list("pk", flat=True))


def _listed(folder: str) -> tuple[list[str], list[str]]:
    """Its folders and its files. An object store knows no folders: asking whether one exists says nothing there."""
    try:
        return default_storage.listdir(folder)
    except FileNotFoundError:
        return [], []


def _folder(upload_id: uuid.UUID) -> str:
    return f"{_PIECES}/{upload_id}"


def _delete_pieces(upload_id: uuid.UUID) -> None:
    """Remove all bytes of an upload, those that never counted too."""
    folder = _folder(upload_id)
    try:
        for name in _listed(folder)[1]:
            default_storage.delete(f"{folder}/{name}")
        default_storage.delete(folder)
    except OSError:
        # A piece that comes at this moment; the next sweep finds it.
        logger.warning("Pieces of an upload could not be removed now.", extra={"upload": str(upload_id)})
