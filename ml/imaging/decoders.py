"""Which transfer syntaxes are read, and by which decoder; which codestreams are refused before decoding."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import get_j2k_parameters
from pydicom.uid import UID, JPEG2000TransferSyntaxes

from ml.imaging.jpeg import jpeg_size
from ml.imaging.refusals import refusal


@dataclass(frozen=True)
class Codec:
    """How one transfer syntax is decoded.

    Attributes:
        plugin: pydicom's name of the decoder; empty where pydicom itself unpacks native pixel data. Named,
            because pydicom would otherwise take whichever it finds first: not the fastest, and not the same
            on every machine.
        ends_with: the marker that closes a whole codestream.
    """

    plugin: str
    ends_with: bytes = b""


NATIVE = Codec("")
#: EOI of ISO/IEC 10918-1 B.1.1.3 and 14495-1 C.1.1, EOC of 15444-1 A.4.4: the same two bytes.
END_OF_IMAGE = b"\xff\xd9"
#: libjpeg-turbo: lossless, and more than 8 bits, which Pillow's build has neither of.
LIBJPEG_TURBO = Codec("ml.imaging", END_OF_IMAGE)
PILLOW = Codec("pillow", END_OF_IMAGE)
JPEG_LS = Codec("pyjpegls", END_OF_IMAGE)
RLE = Codec("ml.imaging")

CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        uid.ImplicitVRLittleEndian: NATIVE,
        uid.ExplicitVRLittleEndian: NATIVE,
        uid.ExplicitVRBigEndian: NATIVE,
        uid.RLELossless: RLE,
        uid.JPEGBaseline8Bit: PILLOW,
        uid.JPEGExtended12Bit: PILLOW,
        uid.JPEGLossless: LIBJPEG_TURBO,
        uid.JPEGLosslessSV1: LIBJPEG_TURBO,
        uid.JPEGLSLossless: JPEG_LS,
        uid.JPEGLSNearLossless: JPEG_LS,
        uid.JPEG2000Lossless: PILLOW,
        uid.JPEG2000: PILLOW,
    }
)

get_decoder(uid.RLELossless).add_plugin(RLE.plugin, ("ml.imaging.rle", "decode_frame"))
for transfer_syntax in (uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1):
    get_decoder(transfer_syntax).add_plugin(LIBJPEG_TURBO.plugin, ("ml.imaging.jpeg", "decode_frame"))

#: Their one fragment may hold any number of frames (PS3.5 8.2.5 to 8.2.8).
VIDEO = frozenset({*uid.MPEGTransferSyntaxes})


def require_decoder(transfer_syntax: UID, bits_stored: int | None = None) -> Codec:
    """Return the codec of a transfer syntax, for samples of that many bits where they are known already.

    Raises `ImageRefused("unsupported_transfer_syntax")` where there is none.
    """
    codec = CODECS.get(transfer_syntax)
    if codec is None:
        raise refusal("unsupported_transfer_syntax", name=transfer_syntax.name)
    if transfer_syntax == uid.JPEGExtended12Bit and bits_stored is not None and bits_stored > 8:
        codec = LIBJPEG_TURBO  # Pillow's libjpeg is built for 8 bits.
    return codec


def decode(ds: Dataset, transfer_syntax: UID) -> NDArray[Any]:
    """Return the samples of the first frame: (rows, columns), or (rows, columns, 3) RGB for colour.

    Raises `ImageRefused` (truncated, corrupt) for pixel data that do not hold every frame or are not of
    the size and the sign that the data set declares; pydicom's errors on other damage.
    """
    codec = require_decoder(transfer_syntax, ds.BitsStored)
    check_frames(ds, transfer_syntax)
    if codec is not NATIVE:
        frame = get_frame(
            ds.PixelData,
            0,
            number_of_frames=int(ds.get("NumberOfFrames") or 1),
            extended_offsets=_extended_offsets(ds),
        )
        if not frame.rstrip(b"\x00\xff").endswith(codec.ends_with):
            raise refusal("truncated")
        if codec is not RLE:
            check_codestream(frame, transfer_syntax, ds)
    samples, _ = get_decoder(transfer_syntax).as_array(ds, index=0, decoding_plugin=codec.plugin)
    return samples


def check_frames(ds: Dataset, transfer_syntax: UID) -> None:
    """Raise `ImageRefused` (truncated, corrupt) unless the pixel data hold as many frames as the data set declares."""
    frames = int(ds.get("NumberOfFrames") or 1)
    if not transfer_syntax.is_encapsulated:
        check_native_length(ds, frames)
        return
    # The first item is the offset table (PS3.5 A.4); a frame has one fragment at least.
    fragments = check_fragments(ds.PixelData) - 1
    if fragments < (1 if transfer_syntax in VIDEO else frames):
        raise refusal("truncated")


def check_native_length(ds: Dataset, frames: int = 1) -> None:
    """Raise `ImageRefused("truncated")` when uncompressed pixel data are shorter than the header says."""
    samples = frames * ds.Rows * ds.Columns * ds.SamplesPerPixel
    if ds.PhotometricInterpretation == "YBR_FULL_422":
        samples = samples // 3 * 2  # PS3.3 C.7.6.3.1.2: two pixels share their colour.
    if len(ds.PixelData) < samples * ds.BitsAllocated // 8:
        raise refusal("truncated")


def check_fragments(value: bytes) -> int:
    """Return the number of items. Raise `ImageRefused` unless the encapsulated value is a whole number of whole items (PS3.5
    A.4).
    """
    position = items = 0
    while position < len(value):
        if position + 8 > len(value):
            raise refusal("truncated")
        tag, length = struct.unpack_from("<LL", value, position)
        if tag != 0xE000FFFE:
            raise refusal("corrupt")
        position += 8 + length
        items += 1
    if position != len(value):
        raise refusal("truncated")
    return items


def _extended_offsets(ds: Dataset) -> tuple[bytes, bytes] | None:
    """The table that pydicom prefers over all others, so that what is checked is what will be decoded."""
    if "ExtendedOffsetTable" in ds and "ExtendedOffsetTableLengths" in ds:
        return ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths
    return None


def check_codestream(frame: bytes, transfer_syntax: UID, ds: Dataset) -> None:
    """Raise `ImageRefused("corrupt")` when a codestream is not of the data set's size, before it is decoded.

    The limits were checked against the data set: a codestream of another size would go round them.
    """
    if transfer_syntax in JPEG2000TransferSyntaxes:
        size: tuple[int, int] | None = Image.open(BytesIO(frame), formats=("JPEG2000",)).size
        # Signed samples in an unsigned image would be shifted by half their range.
        if get_j2k_parameters(frame).get("is_signed") and not ds.PixelRepresentation:
            raise refusal("corrupt")
    else:
        size = jpeg_size(frame)
    if size != (ds.Columns, ds.Rows):
        raise refusal("corrupt")
