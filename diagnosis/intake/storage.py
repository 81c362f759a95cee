"""Private file storage that never shows half a file."""

from __future__ import annotations

import os
import uuid

from django.core.files import File
from django.core.files.storage import FileSystemStorage


class DurableFileSystemStorage(FileSystemStorage):
    """Writes to a temporary name on the same file system, syncs, then renames: a crash or a full disk leaves no half file."""

    def _save(self, name: str, content: File) -> str:
        target = self.path(name)
        folder = os.path.dirname(target)
        os.makedirs(folder, mode=self.directory_permissions_mode or 0o750, exist_ok=True)
        temporary = os.path.join(folder, f".{uuid.uuid4().hex}.part")
        try:
            with open(temporary, "xb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            if self.file_permissions_mode is not None:
                os.chmod(temporary, self.file_permissions_mode)
            os.replace(temporary, target)
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise
        self._sync_folder(folder)
        return name

    @staticmethod
    def _sync_folder(folder: str) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
