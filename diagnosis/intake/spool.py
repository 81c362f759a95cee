"""A file as it comes: written to the file system of the stored ones, and hashed on the way, so that it is never in memory as a
whole and is stored under another name without a copy.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from django.conf import settings
from django.core.files.base import File

BLOCK = 1024 * 1024
#: The sweeper removes files with this ending that a killed process left.
SUFFIX = ".upload"


class Spool:
    """Use it as a context: at its end the file is gone, and what was stored of it stays.

    Reading and writing raise ``OSError`` as files do: the disk may be full.
    """

    def __init__(self) -> None:
        descriptor, name = tempfile.mkstemp(dir=settings.FILE_UPLOAD_TEMP_DIR, prefix="spool-", suffix=SUFFIX)
        self.path = Path(name)
        self.size = 0
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._hash = hashlib.sha256()
        self._syncing: _Syncing | None = None
        self._is_ours = True

    @classmethod
    def copy_of(cls, path: Path) -> Spool:
        """Of a file that belongs to somebody else, and may be changed or removed by them."""
        spool = cls()
        try:
            with path.open("rb") as file:
                while block := file.read(BLOCK):
                    spool.write(block)
        except BaseException:
            spool.close()
            raise
        return spool

    @classmethod
    def around(cls, path: Path) -> Spool:
        """A file that was received to ``path`` and is changed by nobody any more; the receiver removes that name."""
        spool = cls.__new__(cls)
        spool.path, spool.size, spool._hash = path, 0, hashlib.sha256()
        spool._syncing, spool._is_ours = None, False
        spool._file = path.open("rb", buffering=0)
        try:
            while block := spool._file.read(BLOCK):
                spool._hash.update(block)
                spool.size += len(block)
        except BaseException:
            spool.close()
            raise
        return spool

    def write(self, content: bytes | memoryview) -> None:
        left = memoryview(content)
        while left:
            left = left[self._file.write(left) :]
        self._hash.update(content)
        self.size += len(content)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def read(self) -> bytes:
        return self.path.read_bytes()

    def sync_meanwhile(self) -> None:
        """Begin to make the content durable, in a thread: the caller examines it in the meantime."""
        self._syncing = _Syncing(self._file.fileno())

    def sync(self) -> None:
        """Return once the content is durable. Raises ``OSError`` when it could not be made so, in the thread too."""
        if self._syncing is None:
            os.fsync(self._file.fileno())
        else:
            self._syncing.finish()

    def close(self) -> None:
        if self._syncing is not None:
            self._syncing.join()
        self._file.close()
        if self._is_ours:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


class SpooledFile(File):
    """A spool as Django's storages take a file. ``DurableFileSystemStorage`` stores it without a copy."""

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool.path.open("rb"), spool.path.name)
        self.spool = spool


class _Syncing(threading.Thread):
    def __init__(self, descriptor: int) -> None:
        super().__init__(name="spool-sync")
        self._descriptor = descriptor
        self._error: OSError | None = None
        self.start()

    def run(self) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._error = error

    def finish(self) -> None:
        self.join()
        if self._error is not None:
            # Asked again, the kernel would say that all is well: it tells of a lost page once.
            raise self._error
