"""The pictures of a stored file that people look at: its preview and its thumbnail.

Their names are in its row from the start. The files are made once, from pixels that are decoded anyway: before a person confirms
the patient, with the analysis, or when somebody looks first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from numpy.typing import NDArray

from diagnosis.models import StoredFile
from ml.imaging import ImageRefused, render_views

logger = logging.getLogger(__name__)


def renderings_make(*, stored: StoredFile, pixels: Callable[[], NDArray[np.float32]]) -> None:
    """Make the pictures of ``stored`` that are not there yet. One that cannot be saved is made when somebody looks at it.

    ``pixels`` is asked for them where one is missing, and may raise ``ImageRefused`` and ``OSError``.
    """
    if all(default_storage.exists(name) for name in (stored.preview.name, stored.thumbnail.name) if name):
        return
    try:
        preview, thumbnail = render_views(pixels())
    except (ImageRefused, OSError):
        logger.exception("A stored file could not be read again.", extra={"stored_file": str(stored.pk)})
        return
    renderings_save(stored=stored, preview=preview, thumbnail=thumbnail)


def renderings_save(*, stored: StoredFile, preview: bytes, thumbnail: bytes) -> None:
    """Keep two JPEGs under the names that the row of ``stored`` has for them, unless they are there."""
    try:
        for name, content in ((stored.preview.name, preview), (stored.thumbnail.name, thumbnail)):
            if name and not default_storage.exists(name):
                _save(name, content)
    except OSError:
        logger.exception("A picture could not be saved.", extra={"stored_file": str(stored.pk)})


def _save(name: str, content: bytes) -> None:
    saved = default_storage.save(name, ContentFile(content))
    if saved != name:
        default_storage.delete(saved)  # Somebody else was faster.
