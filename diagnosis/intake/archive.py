"""ZIP archives to the files in them, one at a time and within bounds. Nothing is ever unpacked to a path."""

from __future__ import annotations

import contextlib
import dataclasses
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from django.conf import settings
from django.utils.translation import gettext_noop

from diagnosis.errors import PersonError
from diagnosis.intake.spool import Spool
from diagnosis.limits import image_limits
from diagnosis.sentences import Sentence, Words
from ml.imaging import SNIFF_BYTES, FileKind, sniff

ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
#: The directory of a DICOM CD (PS3.10 8.6), beside which lie a viewer, its icons and its help.
DICOMDIR = "DICOMDIR"
_BLOCK = 1 << 20
_END, _END_64_LOCATOR = b"PK\x05\x06", b"PK\x06\x07"
_LOCATOR_BYTES, _END_64_BYTES = 20, 56
#: The end record with the longest comment, and the records of ZIP64 before it.
_TAIL_BYTES = 22 + 0xFFFF + _LOCATOR_BYTES + _END_64_BYTES
#: For each file that may be read: entries, folders among them, and bytes of one entry with its name.
_ENTRIES_EACH, _ENTRY_BYTES = 4, 512

#: code → sentence about one file of an archive.
SENTENCES = {
    "nested_archive": gettext_noop(
        "This is an archive inside an archive, which is not opened. Unpack the outer one and send what is in it."
    ),
    "archive_link": gettext_noop(
        "This entry of the archive is a link to another file, not a file. Pack the file itself."
    ),
    "archive_path": gettext_noop(
        "This entry of the archive names a place outside of it, as harmful archives do. Pack the files anew."
    ),
    "archive_encrypted": gettext_noop(
        "This file is locked with a password. Unpack the archive and send the files in it."
    ),
    "archive_damaged": gettext_noop(
        "This file is damaged in the archive. Pack the files anew and send the new archive."
    ),
    "archive_compression": gettext_noop(
        "This file is compressed in a way that cannot be read here. Pack the files as an ordinary ZIP."
    ),
    "too_large": gettext_noop(
        "This file is larger than the limit for one file. Export the single image again, with compression if need be, "
        "or ask the administrator to raise the limit."
    ),
}


class ArchiveRefused(PersonError):  # noqa: N818  Named for what happened.
    """Nothing (more) of the archive is read."""

    def __init__(self, code: str, sentence: Sentence) -> None:
        super().__init__(sentence)
        self.code = code


@dataclasses.dataclass(frozen=True, slots=True)
class ArchivedFile:
    """One file of an archive; ``content`` is ``None`` where it is not read, for the reason that ``code`` and ``reason`` say.

    ``position`` is its place among the files of the archive, from 0.
    """

    name: str
    content: bytes | None
    code: str = ""
    position: int = 0

    @property
    def reason(self) -> Words:
        return Sentence(SENTENCES[self.code]) if self.code else ""


def is_archive(head: bytes) -> bool:
    """Whether a file that begins so is a ZIP archive, whatever its name says. A DICOM file with such a preamble is none."""
    return head.startswith(ZIP_SIGNATURES) and sniff(head[:SNIFF_BYTES]) is None


def archived_files(source: Path | IO[bytes], *, start: int = 0) -> Iterator[ArchivedFile]:
    """The files of a ZIP archive, in its order, from the position ``start`` on; those before it are not unpacked. Of a CD (an
    archive with a DICOMDIR) only the DICOM files.

    Raises ``ArchiveRefused``: archive_damaged, archive_too_many_files, archive_too_large (more than ``CXR_ARCHIVE_MAX_BYTES``,
    also in the middle, where it holds more than it declares). Raises ``OSError`` where the disk has no room to unpack a file.
    """
    try:
        _check_directory(source)
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, struct.error):
        raise ArchiveRefused(
            "archive_damaged",
            Sentence(
                gettext_noop(
                    "The archive is damaged or incomplete, so nothing of it was read. Copy it again, or pack the files anew."
                )
            ),
        ) from None
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        _check_declared(entries)
        is_cd = any(_base_name(entry).upper() == DICOMDIR for entry in entries)
        left = settings.CXR_ARCHIVE_MAX_BYTES - sum(entry.file_size for entry in entries[:start])
        for position, entry in enumerate(entries[start:], start):
            if is_cd and _base_name(entry).upper() == DICOMDIR:
                continue
            file = _read(archive, entry, left)
            left -= len(file.content or b"")
            if is_cd and file.content is not None and sniff(file.content[:SNIFF_BYTES]) is not FileKind.DICOM:
                continue
            yield dataclasses.replace(file, position=position)


def _check_directory(source: Path | IO[bytes]) -> None:
    """Refuse a directory that is too long before ``zipfile`` reads it into memory: at its end an archive says how long it is
    (APPNOTE.TXT 4.3.14 to 4.3.16).
    """
    tail = _tail(source)
    end = tail.rfind(_END)
    if end < 0:
        raise zipfile.BadZipFile
    _, _, _, _, count, size, _, _ = struct.unpack_from("<4s4H2LH", tail, end)
    if tail[end - _LOCATOR_BYTES : end].startswith(_END_64_LOCATOR):
        *_, count, size, _ = struct.unpack_from("<4sQ2H2L4Q", tail, end - _LOCATOR_BYTES - _END_64_BYTES)
    most = settings.CXR_ARCHIVE_MAX_FILES
    # Folders are entries too, so the files are counted later; this bounds what counting them costs.
    if count > _ENTRIES_EACH * most or size > _ENTRIES_EACH * most * _ENTRY_BYTES:
        raise _too_many()


def _tail(source: Path | IO[bytes]) -> bytes:
    if isinstance(source, Path):
        with source.open("rb") as file:
            return _tail(file)
    length = source.seek(0, os.SEEK_END)
    source.seek(max(0, length - _TAIL_BYTES))
    return source.read(_TAIL_BYTES)


def _too_many() -> ArchiveRefused:
    return ArchiveRefused(
        "archive_too_many_files",
        Sentence(
            gettext_noop(
                "The archive holds more than the {limit} files that are read at once. Send it in "
                "parts, or ask the administrator to raise the limit."
            ),
            limit=settings.CXR_ARCHIVE_MAX_FILES,
        ),
    )


def _check_declared(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > settings.CXR_ARCHIVE_MAX_FILES:
        raise _too_many()
    if sum(entry.file_size for entry in entries) > settings.CXR_ARCHIVE_MAX_BYTES:
        raise _too_large()


def _too_large() -> ArchiveRefused:
    return ArchiveRefused(
        "archive_too_large",
        Sentence(
            gettext_noop(
                "The archive expands to more than the limit of {limit} MB. It was not read any further: send it "
                "in parts, or ask the administrator to raise the limit."
            ),
            limit=round(settings.CXR_ARCHIVE_MAX_BYTES / 2**20),
        ),
    )


def _base_name(entry: zipfile.ZipInfo) -> str:
    return PurePosixPath(entry.filename.replace("\\", "/")).name


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> ArchivedFile:
    name = entry.filename
    code = _why_not(entry)
    if code:
        return ArchivedFile(name, None, code)
    most = image_limits().max_bytes
    # To the disk first: not more of a file that turns out to be damaged, or longer than it says, is in memory than a block.
    with Spool() as spool:
        try:
            code = _unpack(archive, entry, spool, min(most, left) + 1)
        except _NotWritten as error:
            raise (error.__cause__ or error) from None
        if code:
            return ArchivedFile(name, None, code)
        # What an entry declares is only what it says of itself.
        if spool.size > left:
            raise _too_large()
        if spool.size > most:
            return ArchivedFile(name, None, "too_large")
        content = spool.read()
    if is_archive(content[:SNIFF_BYTES]):
        return ArchivedFile(name, None, "nested_archive")
    return ArchivedFile(name, content)


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, spool: Spool, most: int) -> str:
    """Why it cannot be read, as a code; empty where ``spool`` holds it, or its first ``most`` bytes."""
    try:
        with archive.open(entry) as file:
            for block in _blocks(file, most):
                with _writing():
                    spool.write(block)
    except NotImplementedError:
        return "archive_compression"
    except RuntimeError:
        return "archive_encrypted"
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError):
        return "archive_damaged"
    return ""


def _why_not(entry: zipfile.ZipInfo) -> str:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or PureWindowsPath(entry.filename).drive or ".." in path.parts:
        return "archive_path"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "archive_link"
    if entry.flag_bits & 0x1:
        return "archive_encrypted"
    if entry.file_size > image_limits().max_bytes:
        return "too_large"
    return ""


def _blocks(file: IO[bytes], most: int) -> Iterator[bytes]:
    while most and (block := file.read(min(_BLOCK, most))):
        most -= len(block)
        yield block


class _NotWritten(Exception):  # noqa: N818  Named for what happened.
    """The disk did not take a block; no error of the archive."""


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _NotWritten from error
