"""Files that no record names: left by a process that died between writing a file and its row."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from diagnosis.models import AuditAction, HeldFile, Image, IncomingFile, User
from diagnosis.services.audit import audit_record

logger = logging.getLogger(__name__)

#: Where ``receive.kept`` writes, by the field that names the file.
FOLDERS = {"file": "originals", "preview": "previews", "thumbnail": "thumbnails"}
BATCH = 500


def orphans_sweep(*, actor: User) -> int:
    """Delete stored files that no row names and that are older than the grace time; returns how many.

    The grace time keeps it from files whose row is about to be written. Half-written files (``.part``) go the same way, and what
    a web process that was killed had received of an upload.
    """
    before = timezone.now() - dt.timedelta(seconds=settings.CXR_ORPHAN_GRACE_SECONDS)
    removed = _remove_received(before)
    for field, folder in FOLDERS.items():
        names = _names_in(folder)
        while batch := list(islice(names, BATCH)):
            for name in sorted(set(batch) - _named_by_rows(field, batch)):
                removed += _remove_if_old(name, before)
    if removed:
        logger.warning("Files that no record names were removed.", extra={"removed": removed})
        with transaction.atomic():
            audit_record(actor=actor, action=AuditAction.ORPHANS_REMOVED, details={"removed": removed})
    return removed


def _remove_received(before: dt.datetime) -> int:
    """Django's own temporary files, which it removes itself unless its process is killed."""
    removed = 0
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).glob("*.upload*"):
        try:
            if path.stat().st_mtime < before.timestamp():
                path.unlink()
                removed += 1
        except FileNotFoundError:
            continue  # Its request has ended.
    return removed


def _names_in(folder: str) -> Iterator[str]:
    try:
        _, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return  # Nothing was stored yet.
    yield from (f"{folder}/{name}" for name in names)


def _named_by_rows(field: str, names: list[str]) -> set[str]:
    named: set[str] = set()
    for model in (Image, IncomingFile, HeldFile):
        named.update(model._default_manager.filter(**{f"{field}__in": names}).values_list(field, flat=True))
    return named


def _remove_if_old(name: str, before: dt.datetime) -> bool:
    try:
        if default_storage.get_modified_time(name) >= before:
            return False
    except FileNotFoundError:
        return False  # It went meanwhile, with its row or renamed into place.
    default_storage.delete(name)
    return True
