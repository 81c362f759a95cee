"""What one uploaded file may write to the disk, and what it leaves there."""

from __future__ import annotations

import contextlib
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, TemporaryFileUploadHandler


class CappedUploadHandler(FileUploadHandler):
    """Passes a file on until it is over ``CXR_MAX_UPLOAD_BYTES`` and drops the rest.

    What arrives is then larger than the limit by at most one chunk, so intake refuses it with a sentence of its own. Breaking
    the connection instead would take the other files of the same request down with it, and leave no sentence at all.
    """

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._passed = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        if self._passed > settings.CXR_MAX_UPLOAD_BYTES:
            return None
        self._passed += len(raw_data)
        return raw_data

    def file_complete(self, file_size: int) -> UploadedFile | None:
        return None  # The handlers after this one hold the content.


class TidyUploadHandler(TemporaryFileUploadHandler):
    """Leaves nothing of a file that could not be written whole: Django itself forgets it, and a full disk stays full."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        try:
            super().receive_data_chunk(raw_data, start)
        except OSError:
            with contextlib.suppress(OSError):  # It cannot write now either.
                self.file.close()
            raise
