"""The size that a JPEG or JPEG-LS codestream declares, read without decoding it."""

import struct

#: Start-of-frame markers: ISO/IEC 10918-1 Table B.1 (C4, C8 and CC are none), and SOF55 of 14495-1 C.1.1.
START_OF_FRAME = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})


def jpeg_size(codestream: bytes) -> tuple[int, int] | None:
    """Return (columns, rows) of the first frame header, None where there is none."""
    position = 2
    while position + 9 <= len(codestream) and codestream[position] == 0xFF:
        marker = codestream[position + 1]
        if marker == 0xFF:  # A fill byte (ISO/IEC 10918-1 B.1.1.2).
            position += 1
            continue
        length, _, rows, columns = struct.unpack_from(">HBHH", codestream, position + 2)
        if marker in START_OF_FRAME:
            return columns, rows
        position += 2 + length
    return None
