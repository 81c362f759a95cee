"""The tus resumable upload protocol 1.0.0 over HTTP. What it means the library knows; what it does, ``intake.resumable``."""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext, gettext_noop
from resumable_upload import Storage, TusHookError, TusServerCore

from diagnosis.errors import Conflict, PersonError
from diagnosis.full_disk import NOTHING_STORED, is_full_disk
from diagnosis.full_disk import STATUS as FULL_DISK
from diagnosis.intake.resumable import (
    PIECE_BYTES,
    TooLarge,
    TooMuchUnfinished,
    own_uploads,
    piece_count,
    piece_store,
    upload_begin,
    upload_discard,
)
from diagnosis.models import ResumableUpload, Site, UploadState, User
from diagnosis.web.requests import PersonRequest

logger = logging.getLogger(__name__)

PART_TYPE = "application/offset+octet-stream"

_BASE = "/parts"
_FINGERPRINT_LENGTH = 64

#: The library's own texts are for programmers.
SENTENCES: Mapping[int, str] = {
    400: gettext_noop("The upload was not understood. Load the page again and send the file once more."),
    404: gettext_noop("This upload is not known any more. Send the file again."),
    409: gettext_noop("Another part of this file arrived meanwhile. The upload goes on from there."),
    410: gettext_noop(
        "This upload was interrupted too long ago, and what had arrived was thrown away. Send the file again."
    ),
    412: gettext_noop("The upload speaks another version of the protocol than the portal, 1.0.0."),
    413: gettext_noop("The file, or one part of it, is larger than the limit."),
    415: gettext_noop("The upload was not understood. Load the page again and send the file once more."),
    460: gettext_noop("A part of the file was damaged on the way. It is sent again."),
}
_STATUS: Mapping[type[PersonError], int] = {TooLarge: 413, TooMuchUnfinished: 429, Conflict: 409}


class _Pieces(Storage):
    """The library's view of one person's uploads, for one request.

    What its interface asks for and no request reaches raises ``NotImplementedError``: the bytes that come with a creation are
    kept from the library (see ``_first_piece``), and uploads are not joined or read back.
    """

    def __init__(self, user: User, site: Site | None) -> None:
        self.user, self.site = user, site
        self.upload: ResumableUpload | None = None
        self._piece = ""

    def create_upload(
        self,
        upload_id: str,
        upload_length: int | None,
        metadata: dict[str, str],
        expires_at: dt.datetime | None = None,
        is_partial: bool = False,
    ) -> None:
        if self.site is None or upload_length is None or expires_at is None:
            raise LookupError("An upload begins at a hospital, with a length and an end.")
        fingerprint = metadata.get("fingerprint", "")
        self.upload = upload_begin(
            actor=self.user,
            site=self.site,
            upload_id=uuid.UUID(upload_id),
            file_name=metadata.get("filename", ""),
            length=upload_length,
            fingerprint=fingerprint if len(fingerprint) == _FINGERPRINT_LENGTH else "",
            expires_at=expires_at,
        )

    def get_upload(self, upload_id: str) -> dict[str, Any] | None:
        self.upload = own_uploads(self.user).filter(pk=upload_id).first()
        if self.upload is None:
            return None
        return {
            "upload_length": self.upload.length,
            "offset": self.upload.offset,
            "completed": self.upload.state != UploadState.RECEIVING,
            "expires_at": self.upload.expires_at,
        }

    @property
    def known(self) -> ResumableUpload:
        """The upload that was begun or looked up before."""
        if self.upload is None:
            raise LookupError("No upload was begun or looked up.")
        return self.upload

    def write_chunk(self, upload_id: str, offset: int, data: bytes) -> None:
        self._piece = piece_store(upload=self.known, data=data) if data else ""

    def update_offset_atomic(self, upload_id: str, expected_offset: int, new_offset: int) -> bool:
        if not self._piece:
            return True
        return piece_count(upload=self.known, name=self._piece, size=new_offset - expected_offset)

    def update_offset(self, upload_id: str, offset: int) -> None:
        raise NotImplementedError("Pieces are counted atomically.")

    def delete_upload(self, upload_id: str) -> None:
        upload_discard(actor=self.user, upload=self.known)

    def read_file(self, upload_id: str) -> bytes:
        raise NotImplementedError("What comes in by tus does not go out by it.")

    def get_expired_uploads(self) -> list[str]:
        return []

    def cleanup_expired_uploads(self) -> int:
        return 0  # A task does it, for all uploads.


class _Server(TusServerCore):
    SUPPORTED_EXTENSIONS = ("creation", "creation-with-upload", "termination", "checksum", "expiration")


def _known_length(upload_id: str, metadata: dict[str, str], length: int | None) -> None:
    if length is None:
        raise TusHookError("The length of the file must be known.", status_code=400)


def tus_response(
    request: PersonRequest, *, site: Site | None = None, upload_id: uuid.UUID | None = None
) -> tuple[HttpResponse, ResumableUpload | None]:
    """Answer one request, about ``upload_id`` or, for a new upload, at ``site``.

    Returns with the answer the upload it was about, as it is now. Raises ``PermissionDenied``.
    """
    body = _body(request)
    if body is None:
        return _refused(413), None
    storage = _Pieces(request.user, site)
    server = _Server(
        storage,
        base_path=_BASE,
        max_size=max(settings.CXR_MAX_UPLOAD_BYTES, settings.CXR_ARCHIVE_MAX_BYTES),
        max_chunk_size=PIECE_BYTES,
        upload_expiry=3600 * settings.CXR_UPLOAD_KEPT_HOURS,
        on_upload_create=_known_length,
        checksum_algorithms=("sha256", "sha1"),
        disable_concatenation=True,
    )
    headers = {
        name: value for name, value in request.headers.items() if name.lower() != "x-http-method-override"
    }
    path = _BASE if upload_id is None else f"{_BASE}/{upload_id}"
    try:
        status, said, text = server.handle_request(
            request.method, path, headers, b"" if request.method == "POST" else body
        )
        if status == 201 and body and request.content_type == PART_TYPE:
            status, said = _first_piece(server, storage, headers, body, said)
    except PersonError as error:
        return _refused(_STATUS.get(type(error), 400), str(error)), storage.upload
    except OSError as error:
        if not is_full_disk(error):
            raise
        logger.error("A piece of an upload could not be stored: the disk is full.")
        if request.method == "POST" and storage.upload is not None:
            upload_discard(actor=request.user, upload=storage.upload)
        # Of one that was begun before, what had arrived stays: it goes on from there.
        return _refused(FULL_DISK, gettext(NOTHING_STORED)), None
    if status >= 400:
        # The library forbids a piece after the last; to a sender who lost the answer, it has arrived already.
        return _refused(409 if status == 403 else status), storage.upload
    response = HttpResponse(text, status=status, headers=said)
    if status == 201 and storage.upload is not None:
        response.headers["Location"] = reverse("web:part", args=[storage.upload.pk])
    return response, storage.upload


def _first_piece(
    server: _Server, storage: _Pieces, headers: dict[str, str], body: bytes, created: dict[str, str]
) -> tuple[int, dict[str, str]]:
    """The bytes that came with the creation, under all the rules that a later piece has.

    The library itself would take more than the announced length here, and look at no checksum.
    """
    path = f"{_BASE}/{storage.known.pk}"
    status, said, _ = server.handle_request("PATCH", path, {**headers, "Upload-Offset": "0"}, body)
    if status == 204:
        return 201, {**created, "Upload-Offset": said["Upload-Offset"]}
    if storage.known.state == UploadState.RECEIVING:
        upload_discard(actor=storage.user, upload=storage.known)
    return status, {}


def _body(request: PersonRequest) -> bytes | None:
    """``None`` for more than one piece may hold. A body that was cut off counts as none: the piece is sent again."""
    announced = request.META.get("CONTENT_LENGTH") or "0"
    length = int(announced) if announced.isascii() and announced.isdigit() else 0
    if length > PIECE_BYTES:
        return None
    body = request.read(length) if length else b""
    return body if len(body) == length else b""


def _refused(status: int, sentence: str = "") -> HttpResponse:
    return HttpResponse(
        sentence or gettext(SENTENCES.get(status, SENTENCES[400])),
        status=status,
        content_type="text/plain; charset=utf-8",
        headers={"Tus-Resumable": TusServerCore.TUS_VERSION},
    )
