"""The one way in: every road hands its files to ``receive_file``."""

from __future__ import annotations

import hashlib
import unicodedata
import uuid
from pathlib import PurePosixPath

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError

from diagnosis import policies
from diagnosis.intake.examine import ExaminedFile, examine
from diagnosis.limits import image_limits
from diagnosis.models import IncomingFile, Site, User
from diagnosis.services.studies import (
    FileOutcome,
    Receipt,
    file_duplicate,
    file_refuse,
    incoming_file_add,
    stored_twin,
)
from ml.imaging import ImageRefused

WAITING_ALREADY = "This file is waiting for your confirmation already."


def receive_file(*, actor: User, site: Site, upload: UploadedFile) -> Receipt:
    """Examine one file and keep it until its patient is confirmed; or say why not.

    A refusal is an answer, not an exception: one bad file never stops the others. Raises ``PermissionDenied`` alone.
    """
    policies.require(actor, policies.Act.UPLOAD, site)
    name = shown_name(upload.name or "")
    try:
        image_limits().check_bytes(upload.size or 0)
        content = upload.read()
        sha256 = hashlib.sha256(content).hexdigest()
        known = _known(actor=actor, site=site, name=name, sha256=sha256)
        if known is not None:
            return known  # Its bytes were examined when they came first.
        examined = examine(content)
    except ImageRefused as refusal:
        file_refuse(actor=actor, site=site, code=refusal.code)
        return Receipt(name, FileOutcome.REFUSED, str(refusal), code=refusal.code)
    uid = examined.header.sop_instance_uid if examined.header else ""
    known = _known(actor=actor, site=site, name=name, sha256=sha256, sop_instance_uid=uid) if uid else None
    if known is not None:
        return known
    try:
        incoming = _keep(actor=actor, site=site, name=name, sha256=sha256, examined=examined)
    except IntegrityError:
        # The same person sent it twice at the same moment.
        known = _known(actor=actor, site=site, name=name, sha256=sha256, sop_instance_uid=uid)
        if known is None:
            raise
        return known
    return Receipt(name, FileOutcome.WAITING, incoming=incoming)


def _known(*, actor: User, site: Site, name: str, sha256: str, sop_instance_uid: str = "") -> Receipt | None:
    """The receipt of a file that is stored at ``site``, or waits for ``actor`` to confirm it; ``None`` for a new one."""
    twin = stored_twin(site=site, sha256=sha256, sop_instance_uid=sop_instance_uid)
    if twin is not None:
        image, reason = twin
        file_duplicate(actor=actor, image=image)
        return Receipt(name, FileOutcome.DUPLICATE, reason, image=image)
    waiting = IncomingFile.objects.filter(uploaded_by=actor, site=site, sha256=sha256).first()
    if waiting is None:
        return None
    return Receipt(name, FileOutcome.WAITING, WAITING_ALREADY, incoming=waiting, was_waiting=True)


def _keep(*, actor: User, site: Site, name: str, sha256: str, examined: ExaminedFile) -> IncomingFile:
    """Files first, then the row: a row never points to a file that is not there. No row, no files."""
    key = uuid.uuid4()
    contents = {
        "file": (f"originals/{key}", examined.content),
        "preview": (f"previews/{key}.jpg", examined.preview),
        "thumbnail": (f"thumbnails/{key}.jpg", examined.thumbnail),
    }
    saved: dict[str, str] = {}
    try:
        for field, (path, content) in contents.items():
            saved[field] = default_storage.save(path, ContentFile(content))
        return incoming_file_add(
            actor=actor,
            site=site,
            id=key,
            original_name=name,
            kind=examined.kind.value,
            sha256=sha256,
            size=len(examined.content),
            rows=examined.rows,
            columns=examined.columns,
            header=examined.header_json,
            **saved,
        )
    except BaseException:
        for path in saved.values():
            default_storage.delete(path)
        raise


def shown_name(name: str) -> str:
    """The sender's file name, fit to be shown: no folders, no control or direction-changing characters, 255 at most."""
    base = PurePosixPath(name.replace("\\", "/")).name
    clean = "".join(char for char in base if unicodedata.category(char) not in {"Cc", "Cf", "Cs"}).strip()
    return clean[:255] or "unnamed file"
