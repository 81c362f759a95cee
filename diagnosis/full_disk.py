"""A disk without room: nobody's fault at the screen, and worth trying again once somebody has made room (HTTP 507)."""

from __future__ import annotations

import errno
import sqlite3

from django.db import OperationalError
from django.utils.translation import gettext_noop

NO_ROOM = "no_room"
STATUS = 507
"""Insufficient Storage, RFC 4918 11.5."""
FILE_NOT_STORED = gettext_noop(
    "The disk of the portal is full, so this file could not be stored, and nothing of it was kept. Tell an administrator, and "
    "send it again once there is room."
)
NOTHING_STORED = gettext_noop(
    "The disk of the portal is full, so nothing was stored. What was stored before can be read as ever. Tell an administrator, "
    "and try again once there is room."
)

#: Of the file system, of the account's share of it, and of the longest file that a process may write.
_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: PostgreSQL, Appendix A: disk_full.
_DISK_FULL = "53100"


def is_full_disk(error: BaseException | None) -> bool:
    """Whether the files or the database found no room: ``error`` itself, or what it was raised from."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _ERRNOS:
            return True
        if isinstance(error, OperationalError) and _is_full_database(error.__cause__):
            return True
        error = error.__cause__
    return False


def _is_full_database(cause: BaseException | None) -> bool:
    return (
        getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        or getattr(cause, "pgcode", None) == _DISK_FULL
    )
