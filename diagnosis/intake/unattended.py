"""Roads on which nobody looks at a file between its arrival and the record: C-STORE, STOW-RS, bulk import, retrieve."""

from __future__ import annotations

from pathlib import Path

from django.core.files.uploadedfile import SimpleUploadedFile

from diagnosis.intake.receive import shown_name
from diagnosis.intake.submit import Submission, file_failed, files_submit
from diagnosis.models import Road, Site, User
from diagnosis.services.studies import Receipt

__all__ = ["Road", "receive_unattended"]


def receive_unattended(*, actor: User, site: Site, content: bytes | Path, name: str, road: Road) -> Receipt:
    """Store one file whose header says whose it is; say whether it was stored, known, held or refused, and why.

    Whatever is wrong with the file is in the receipt and never raised; so is what the database or the disk could not do
    (code ``technical_error``: the file may be sent again). Called again with the same bytes it stores nothing new.
    ``content`` is the whole file or the path of it, which is only read. Raises ``PermissionDenied`` when ``actor`` may not
    upload at ``site``.
    """
    try:
        data = content.read_bytes() if isinstance(content, Path) else content
    except OSError as error:
        return file_failed(actor=actor, site=site, file_name=shown_name(name), error=error)
    submission = Submission(actor=actor, site=site)
    [receipt] = files_submit(submission, [SimpleUploadedFile(name, data)])
    return receipt
