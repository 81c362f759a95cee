"""Where a hospital stores de-identified copies: what is stored of a file that was examined, and under which secret."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from pathlib import Path
from typing import Any

from django.conf import settings

from diagnosis.intake.analysable import why_not_analysed
from diagnosis.intake.decoder import deidentify_apart
from diagnosis.intake.deidentification import refusal
from diagnosis.intake.examine import ExaminedFile
from diagnosis.models import NotAnalysed, Site
from ml.imaging import FileKind

#: Objects whose content is words: the profile would keep an empty shell of them.
WORDS = frozenset({NotAnalysed.STRUCTURED_REPORT, NotAnalysed.NO_PICTURE})
UIDS = ("sop_instance_uid", "study_instance_uid", "series_instance_uid")


@dataclasses.dataclass(frozen=True, slots=True)
class DeidentifiedFile(ExaminedFile):
    """An examined file and the copy of it that is stored.

    ``header`` says of the patient what came says, so that the patient is found on record, and bears the copy's UIDs, so that the
    study is; ``stored_header`` is what ``content``, the copy, says.
    """

    content: bytes = b""
    stored_header: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Of the copy."""
        return hashlib.sha256(self.content).hexdigest()


def deidentified(site: Site, content: bytes | Path, examined: ExaminedFile) -> ExaminedFile:
    """``examined`` with the copy that ``site`` stores in place of ``content``; as it is where the site stores what came.

    Raises ``ImageRefused`` where no copy can be made, ``DecoderDied`` and ``DecoderError``.
    """
    if not site.stores_deidentified:
        return examined
    if examined.kind is FileKind.DICOM and why_not_analysed(examined.header) in WORDS:
        raise refusal("not_deidentified_words")
    copy = deidentify_apart(content, uid_key(site), is_shown=examined.is_shown)
    values = {field.name: getattr(examined, field.name) for field in dataclasses.fields(examined)}
    values["header"] = {**examined.header, **{uid: copy.header[uid] for uid in UIDS if uid in copy.header}}
    return DeidentifiedFile(**values, content=copy.content, stored_header=copy.header)


def uid_key(site: Site) -> bytes:
    """The secret under which the site's UIDs are replaced: another one for each hospital."""
    return hmac.new(
        settings.DEIDENTIFICATION_KEY.encode(), f"site:{site.pk}".encode(), hashlib.sha256
    ).digest()
