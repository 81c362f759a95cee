"""What a file is, by its first bytes; its name and its declared type are never believed."""

from enum import StrEnum

#: How many bytes `sniff` needs.
SNIFF_BYTES = 132


class FileKind(StrEnum):
    DICOM = "dicom"
    PNG = "png"
    JPEG = "jpeg"
    TIFF = "tiff"


#: What a DICOM preamble must not begin with: a program or another format that would run or open in place of the
#: image. A TIFF header alone is what the preamble is meant for (PS3.10 7.1).
FOREIGN_PREAMBLES = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"BM",
    b"MZ",
    b"\x7fELF",
    b"\xca\xfe\xba\xbe",
    b"\xcf\xfa\xed\xfe",
    b"PK\x03\x04",
    b"%PDF",
    b"#!",
    b"<",
    b"RIFF",
    b"\x1f\x8b",
)


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
    if head.startswith((b"II*\x00", b"MM\x00*")):
        return FileKind.TIFF
    return None


def has_foreign_preamble(head: bytes) -> bool:
    """Whether a DICOM file is something else too: its preamble begins like another format."""
    return head.lstrip(b" \t\r\n").startswith(FOREIGN_PREAMBLES)
