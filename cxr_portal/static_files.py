"""Collect the static files when a source is newer than what was collected."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command


def collect_if_stale() -> bool:
    """Bring ``STATIC_ROOT`` up to date; returns whether there was something to do. Processes that start at once do it once."""
    root = Path(settings.STATIC_ROOT)
    root.mkdir(parents=True, exist_ok=True)
    manifest = root / "staticfiles.json"
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if manifest.exists() and max(_changed_at(), default=0.0) < manifest.stat().st_mtime:
            return False
        call_command("collectstatic", interactive=False, clear=True, verbosity=0)
        return True


def _changed_at() -> Iterator[float]:
    for finder in get_finders():
        for name, storage in finder.list([]):
            yield Path(storage.path(name)).stat().st_mtime
