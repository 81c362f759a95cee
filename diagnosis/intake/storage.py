"""Private file storage that never shows half a file."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from django.core.files import File
from django.core.files.storage import FileSystemStorage

from diagnosis.intake.spool import SpooledFile


class DurableFileSystemStorage(FileSystemStorage):
    """Writes to a temporary name on the same file system, syncs, then renames.

    A crash or a full disk leaves no half file under a name that a record points to. A spooled file is there already, and gets
    another name.
    """

    def _save(self, name: str, content: File) -> str:
        target = Path(self.path(name))
        target.parent.mkdir(mode=self.directory_permissions_mode or 0o750, parents=True, exist_ok=True)
        temporary = target.parent / f".{uuid.uuid4().hex}.part"
        try:
            if not _linked(content, temporary):
                _written(content, temporary)
            if self.file_permissions_mode is not None:
                temporary.chmod(self.file_permissions_mode)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._sync_folder(target.parent)
        return name

    @staticmethod
    def _sync_folder(folder: Path) -> None:
        # The new name is durable only once the folder that holds it is.
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _linked(content: File, path: Path) -> bool:
    """Whether ``content`` is durable as ``path`` without a copy; not where it lies on another file system."""
    if not isinstance(content, SpooledFile):
        return False
    content.spool.sync()
    with contextlib.suppress(OSError):
        os.link(content.spool.path, path)
        return True
    return False


def _written(content: File, path: Path) -> None:
    with path.open("xb") as file:
        for chunk in content.chunks():
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
