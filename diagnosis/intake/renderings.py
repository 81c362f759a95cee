"""The pictures of a stored file, for whoever looks at them first."""

from __future__ import annotations

import logging
from typing import cast

from django.core.files.base import ContentFile, File
from django.db.models.fields.files import FieldFile

from diagnosis.intake.decoder import DecoderDied, examine_apart
from diagnosis.models import StoredFile
from diagnosis.services.renderings import renderings_save
from ml.imaging import ImageRefused

logger = logging.getLogger(__name__)


def rendering_open(rendering: FieldFile) -> File:
    """A preview or a thumbnail of a ``StoredFile``; decoded now, in a process of its own, where it was not made yet.

    Raises ``FileNotFoundError`` where there is no picture, and none can be made: the stored file itself is missing or damaged.
    """
    try:
        return rendering.open("rb")
    except FileNotFoundError:
        stored = cast(StoredFile, rendering.instance)
    with stored.file.open("rb") as file:
        content = file.read()
    try:
        examined = examine_apart(content)
        if not examined.is_shown:
            raise ImageRefused(*examined.unshown)
    except (ImageRefused, DecoderDied) as error:
        logger.error("A stored file cannot be decoded any more: %s", getattr(error, "code", "decoder_died"))
        raise FileNotFoundError(rendering.name) from error
    pictures = {stored.preview.name: examined.preview, stored.thumbnail.name: examined.thumbnail}
    renderings_save(stored=stored, preview=examined.preview, thumbnail=examined.thumbnail)
    return ContentFile(pictures[rendering.name])
