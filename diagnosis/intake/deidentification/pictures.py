"""Metadata of pictures taken out, the pixels untouched: PNG by its chunks, JPEG and JPEG 2000 by their marker segments.

Nothing is decoded and nothing compressed again. The one thing that is written anew is the camera's orientation, without which the
picture would be shown turned.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

from PIL import Image
from PIL.ExifTags import Base

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Chunks that say how samples become a picture; all text, times, profiles and unknown ones go (W3C PNG 11).
PNG_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs"}
)

SOI, EOI, SOS, COM = 0xD8, 0xD9, 0xDA, 0xFE
APPLICATION = range(0xE0, 0xF0)
STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
#: The application segments that say how to read the samples (ITU-T T.871, T.872, and the colour transform of JPEG-LS).
SEGMENTS_KEPT = ((0xE0, b"JFIF\x00"), (0xEE, b"Adobe"), (0xE8, b"mrfx"))
#: Exif with one entry, Orientation: little endian TIFF header, IFD at 8, SHORT, no next IFD.
EXIF_ORIENTATION = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00%c\x00\x00\x00\x00\x00\x00\x00"


class UnknownStructureError(ValueError):
    """The file is not built as its format says, so what is metadata in it cannot be told."""


def clean_png(content: bytes) -> bytes:
    """The file with the chunks of ``PNG_KEPT`` alone, and nothing behind its end. Raises ``UnknownStructureError``."""
    orientation = _orientation(content)
    parts = [PNG_SIGNATURE]
    for kind, chunk in _png_chunks(content):
        if kind == b"IDAT" and orientation:
            parts.append(_png_chunk(b"eXIf", (EXIF_ORIENTATION % orientation)[6:]))
            orientation = 0
        if kind in PNG_KEPT:
            parts.append(chunk)
    return b"".join(parts)


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 12 + length
        if end > len(content):
            break
        yield kind, content[position:end]
        if kind == b"IEND":
            return
        position = end
    raise UnknownStructureError("PNG without an end")


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def clean_jpeg(content: bytes) -> bytes:
    """The file, its application and comment segments blanked, and nothing behind its end. Raises ``UnknownStructureError``."""
    orientation = _orientation(content)
    cleaned = bytearray(content)
    end = blank_jpeg(cleaned, exif=EXIF_ORIENTATION % orientation if orientation else b"")
    return bytes(cleaned[:end])


def _orientation(content: bytes) -> int:
    """The camera's orientation as the pixel path finds it, 2 to 8; 0 where nothing is to be turned."""
    with Image.open(BytesIO(content)) as image:
        value = image.getexif().get(Base.Orientation, 1)
    return value if value in range(2, 9) else 0


def blank_jpeg(stream: bytearray, start: int = 0, *, exif: bytes = b"") -> int:
    """Zero, in place, what application and comment segments say in a JPEG or JPEG-LS codestream; return where it ends.

    Lengths stay, and so does every offset into the file. ``exif`` is written into the first segment of Exif or XMP. Raises
    ``UnknownStructureError``.
    """
    stop, position = len(stream), start
    while True:
        position = _next_marker(stream, position)
        marker = stream[position + 1]
        position += 2
        if marker == EOI:
            if exif:
                raise UnknownStructureError("no room for the orientation")
            return position
        if marker == SOI or marker in STANDALONE:
            continue
        if position + 2 > stop:
            raise UnknownStructureError("a segment without its length")
        (length,) = struct.unpack_from(">H", stream, position)
        end = position + length
        if length < 2 or end > stop:
            raise UnknownStructureError("a segment that is not whole")
        first = position + 2
        if marker == COM or (marker in APPLICATION and not _is_kept(stream, marker, first)):
            blank = bytes(end - first)
            if marker == 0xE1 and exif and len(exif) <= len(blank):
                blank, exif = exif + blank[len(exif) :], b""
            stream[first:end] = blank
        position = end


def _is_kept(stream: bytearray, marker: int, first: int) -> bool:
    return any(marker == kept and stream.startswith(name, first) for kept, name in SEGMENTS_KEPT)


def _next_marker(stream: bytearray, position: int) -> int:
    """Where the next marker is, behind entropy-coded data too: there FF is followed by 00 (T.81) or less than 80 (T.87)."""
    while (position := stream.find(b"\xff", position, len(stream) - 1)) != -1:
        code = stream[position + 1]
        if code >= 0x80 and code != 0xFF and code not in STANDALONE:
            return position
        position += 1
    raise UnknownStructureError("JPEG without an end")


def blank_jpeg_2000(stream: bytearray, start: int) -> int:
    """Zero, in place, the comments in the headers of a JPEG 2000 codestream (T.800 A.9.2); return where it ends.

    Raises ``UnknownStructureError``.
    """
    stop = len(stream)
    position, tile_end = start + 2, stop  # Behind SOC.
    while position + 4 <= stop:
        marker, length = struct.unpack_from(">HH", stream, position)
        if marker == 0xFFD9:  # EOC
            return position + 2
        if marker == 0xFF93:  # SOD: data of the tile-part until its end
            position = tile_end
            continue
        end = position + 2 + length
        if marker < 0xFF4F or length < 2 or end > stop:
            raise UnknownStructureError("JPEG 2000 with a segment that is not whole")
        if marker == 0xFF90:  # SOT: Psot is the length of the tile-part, 0 for the last one
            (psot,) = struct.unpack_from(">I", stream, position + 6)
            tile_end = position + psot if psot else stop
            if not end <= tile_end <= stop:
                raise UnknownStructureError("JPEG 2000 with a tile that is not whole")
        if marker == 0xFF64:  # COM; the two bytes of Rcom say of what kind
            stream[position + 6 : end] = bytes(max(0, end - position - 6))
        position = end
    return stop


def blank_codestreams(stream: bytearray) -> None:
    """Zero, in place, what is no picture in JPEG, JPEG-LS or JPEG 2000 codestreams that follow each other; other codecs have no
    room for it. Raises ``UnknownStructureError``.
    """
    position = 0
    while position < len(stream):
        if stream.startswith(b"\xff\xd8", position):
            end = blank_jpeg(stream, position)
        elif stream.startswith(b"\xff\x4f\xff\x51", position):
            end = blank_jpeg_2000(stream, position)
        else:
            return
        starts = [
            at for at in (stream.find(b"\xff\xd8", end), stream.find(b"\xff\x4f\xff\x51", end)) if at >= 0
        ]
        position = min(starts, default=len(stream))
        stream[end:position] = bytes(position - end)  # Padding, and what hides in it.
