"""RLE Lossless (PS3.5 Annex G), decoded within bounds, as a decoder plugin of pydicom.

pydicom's own decoder expands a segment to its end, whatever the image needs: 64 MB of a forged file become
4 GB of memory. This one stops where the image is full.
"""

import struct

from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import RLELossless

#: What pydicom asks of a plugin: the packages that it needs for each transfer syntax.
DECODER_DEPENDENCIES: dict[str, tuple[str, ...]] = {RLELossless: ()}
HEADER_BYTES = 64


def is_available(uid: str) -> bool:
    """Whether the plugin can decode this transfer syntax."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(frame: bytes, runner: DecodeRunner) -> bytearray:
    """Return the frame's samples, little endian and one colour plane after the other. Raises ValueError."""
    count, *offsets = struct.unpack_from(
        "<16L", frame
    )  # G.5: the number of segments, then where each begins.
    width = runner.bits_allocated // 8
    starts = offsets[:count]
    ends = [*starts[1:], len(frame)]
    if count != runner.samples_per_pixel * width or starts[0] != HEADER_BYTES or sorted(starts) != starts:
        raise ValueError("the RLE segments are not those of such an image")
    pixels = runner.rows * runner.columns
    samples = bytearray(count * pixels)
    for segment, (start, end) in enumerate(zip(starts, ends, strict=True)):
        # G.2: a segment holds one byte of every sample of a plane, the most significant byte first.
        plane, byte = divmod(segment, width)
        first = plane * pixels * width + (width - 1 - byte)
        samples[first : (plane + 1) * pixels * width : width] = unpack(frame[start:end], pixels)
    runner.set_option("planar_configuration", 1)
    return samples


def unpack(segment: bytes, length: int) -> bytearray:
    """Return the `length` bytes that a segment decodes to (G.3.2). Raises ValueError for fewer or more."""
    unpacked = bytearray()
    position, end = 0, len(segment)
    while len(unpacked) < length and position < end:
        control = segment[position]
        if control < 128:
            unpacked += segment[position + 1 : position + 2 + control]
            position += control + 2
        elif control > 128:
            unpacked += segment[position + 1 : position + 2] * (257 - control)
            position += 2
        else:
            position += 1
    # A segment is padded to an even length (G.3.1).
    if len(unpacked) != length or end - position > 1:
        raise ValueError("an RLE segment does not hold what the image needs")
    return unpacked
