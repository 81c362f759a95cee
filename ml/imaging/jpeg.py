"""What a JPEG or JPEG-LS codestream declares, read without decoding it; and the decoder of the JPEG kinds that Pillow lacks,
as a plugin of pydicom.
"""

import struct

import numpy as np
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

#: What pydicom asks of a plugin: the packages that it needs for each transfer syntax.
DECODER_DEPENDENCIES: dict[str, tuple[str, ...]] = {
    JPEGExtended12Bit: ("imagecodecs",),
    JPEGLossless: ("imagecodecs",),
    JPEGLosslessSV1: ("imagecodecs",),
}

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


def is_available(uid: str) -> bool:
    """Whether the plugin can decode this transfer syntax."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(frame: bytes, runner: DecodeRunner) -> bytearray:
    """Return the frame's samples, little endian, the colours of a pixel side by side. Raises ValueError and imagecodecs' errors.

    A codestream has no sign: signed samples come as their bit patterns (PS3.5 8.2.1).
    """
    import imagecodecs  # Half of what the portal decodes never needs it.

    samples = imagecodecs.jpeg8_decode(frame)
    if samples.dtype.itemsize * 8 > runner.bits_allocated:
        raise ValueError("the codestream has more bits than the data set allocates")
    runner.set_option("planar_configuration", 0)
    return bytearray(np.ascontiguousarray(samples, dtype=f"<u{runner.bits_allocated // 8}").tobytes())
