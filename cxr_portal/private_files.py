"""Small files that only the owner of the process may read: keys, demonstration passwords."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` whole or not at all, with mode 0600."""
    temporary = _private_temporary(path, text)
    temporary.replace(path)


def read_or_create(path: Path, make: Callable[[], str]) -> str:
    """The content of ``path``; where it is missing, ``make()`` is written there first.

    Of several processes that start at once, one writes and all read the same.
    """
    if not path.exists():
        temporary = _private_temporary(path, make())
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    return path.read_text().strip()


def _private_temporary(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp creates with mode 0600, so that there is no moment at which others can read it.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    return Path(name)
