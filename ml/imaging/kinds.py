"""What a file is, by its first bytes; its name and its declared type are never believed."""

from enum import StrEnum

#: How many bytes `sniff` needs.
SNIFF_BYTES = 132


class FileKind(StrEnum):
    DICOM = "dicom"
    PNG = "png"
    JPEG = "jpeg"


def sniff(head: bytes) -> FileKind | None:
    """Return the kind of the file that begins with `head` (at least `SNIFF_BYTES`), None when it is none of
    ours.

    DICOM is known by the prefix after the 128-byte preamble (PS3.10 7.1) and by nothing else. It is looked
    for first: a preamble may hold anything, another format's signature too.
    """
    if head[128:132] == b"DICM":
        return FileKind.DICOM
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return FileKind.PNG
    if head.startswith(b"\xff\xd8\xff"):
        return FileKind.JPEG
    return None
