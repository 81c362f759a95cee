"""What the network takes of an image, kept between the decoder that had its pixels and the worker that is to ask about it.

It is made of the same bytes by the same code as the worker would make it of the stored file, which it does where nothing is kept.
"""

from __future__ import annotations

import logging
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from diagnosis.models import StoredFile

logger = logging.getLogger(__name__)

Squares = Mapping[int, NDArray[np.float32]]
"""Side in pixels to the square of that side, as ``ml.preprocessing`` makes it."""

PREFIX, SUFFIX = "reduced-", ".upload"
#: Of so many images at most: 70 MB. Where no worker asks, or no model is active, more would be kept for nobody.
MOST_KEPT = 500


def reduced_has_room() -> bool:
    try:
        with os.scandir(settings.FILE_UPLOAD_TEMP_DIR) as entries:
            return sum(entry.name.startswith(PREFIX) for entry in entries) < MOST_KEPT
    except OSError:
        return False  # Storing the file itself will say what is wrong.


def reduced_keep(*, sha256: str, squares: Squares) -> None:
    """Keep what was made of the file with this hash. What cannot be written is made again; the sweeper removes what is left."""
    try:
        descriptor, name = tempfile.mkstemp(
            dir=settings.FILE_UPLOAD_TEMP_DIR, prefix=f".{PREFIX}", suffix=SUFFIX
        )
        try:
            with os.fdopen(descriptor, "wb") as file:
                named: dict[str, Any] = {str(size): square for size, square in squares.items()}
                np.savez(file, allow_pickle=False, **named)
            Path(name).replace(_path(sha256))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError:
        logger.warning("What the network takes of an image could not be kept for the worker.")


def reduced_of(stored: StoredFile) -> Squares | None:
    """What is kept of ``stored``; ``None`` where that is nothing, or not whole: its checksums are compared."""
    if stored.is_deidentified:
        return None
    try:
        with np.load(_path(stored.sha256), allow_pickle=False) as kept:
            return {int(size): kept[size] for size in kept.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def reduced_drop(*, sha256: str) -> None:
    _path(sha256).unlink(missing_ok=True)


def _path(sha256: str) -> Path:
    return Path(settings.FILE_UPLOAD_TEMP_DIR) / f"{PREFIX}{sha256}{SUFFIX}"
