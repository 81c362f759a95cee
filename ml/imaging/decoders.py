"""Which transfer syntaxes are read, by which decoder, and the checks that make a short or lying codestream
a refusal.
"""

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
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from ml.imaging.refusals import refusal


@dataclass(frozen=True)
class Codec:
    """How one transfer syntax is decoded.

    Attributes:
        plugin: pydicom's name of the decoder; empty where pydicom itself unpacks native pixel data. Named,
            because pydicom
            would otherwise take whichever it finds first: not the fastest, and not the same on every machine.
        ends_with: the marker that closes a whole codestream.
        package: what to install where the plugin is optional.
    """

    plugin: str
    ends_with: bytes = b""
    package: str = ""


NATIVE = Codec("")
#: ISO/IEC 10918-1 B.1.1.3 (EOI), 14495-1 C.1.1 (EOI), 15444-1 A.4.4 (EOC): all three use the same two bytes.
END_OF_IMAGE = b"\xff\xd9"
LOSSLESS_JPEG = Codec("pylibjpeg", END_OF_IMAGE, "pylibjpeg-libjpeg, licence GPL-3.0")

CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        uid.ImplicitVRLittleEndian: NATIVE,
        uid.ExplicitVRLittleEndian: NATIVE,
        uid.ExplicitVRBigEndian: NATIVE,
        uid.RLELossless: Codec("pydicom"),
        uid.JPEGBaseline8Bit: Codec("pillow", END_OF_IMAGE),
        uid.JPEGExtended12Bit: Codec("pillow", END_OF_IMAGE),
        uid.JPEGLossless: LOSSLESS_JPEG,
        uid.JPEGLosslessSV1: LOSSLESS_JPEG,
        uid.JPEGLSLossless: Codec("pyjpegls", END_OF_IMAGE),
        uid.JPEGLSNearLossless: Codec("pyjpegls", END_OF_IMAGE),
        uid.JPEG2000Lossless: Codec("pillow", END_OF_IMAGE),
        uid.JPEG2000: Codec("pillow", END_OF_IMAGE),
    }
)


def is_native(transfer_syntax: UID) -> bool:
    """Whether pixel data of this transfer syntax are uncompressed."""
    return CODECS[transfer_syntax] is NATIVE


def require_decoder(transfer_syntax: UID) -> None:
    """Raise `ImageRefused` for a transfer syntax that cannot be read here: unsupported_transfer_syntax,
    plugin_missing.
    """
    codec = CODECS.get(transfer_syntax)
    if codec is None:
        raise refusal("unsupported_transfer_syntax", name=transfer_syntax.name)
    if codec.package and codec.plugin not in get_decoder(transfer_syntax).available_plugins:
        raise refusal("plugin_missing", name=transfer_syntax.name, plugin=codec.package)


def decode(ds: Dataset, transfer_syntax: UID) -> NDArray[Any]:
    """Return the samples of a single-frame data set: (rows, columns), or (rows, columns, 3) RGB for colour.

    Raises `ImageRefused` (truncated, corrupt) for encapsulated data that are not whole; pydicom's errors on
    damage.
    """
    codec = CODECS[transfer_syntax]
    if codec is not NATIVE:
        check_fragments(ds.PixelData)
        frame = get_frame(ds.PixelData, 0, number_of_frames=1)
        if not frame.rstrip(b"\x00\xff").endswith(codec.ends_with):
            raise refusal("truncated")
        check_declared_size(frame, codec, ds.Rows, ds.Columns)
    samples, _ = get_decoder(transfer_syntax).as_array(ds, index=0, decoding_plugin=codec.plugin)
    return samples


def check_fragments(value: bytes) -> None:
    """Raise `ImageRefused("truncated")` unless the encapsulated value is a whole number of whole items
    (PS3.5 A.4).
    """
    position = 0
    while position < len(value):
        if position + 8 > len(value):
            raise refusal("truncated")
        tag, length = struct.unpack_from("<LL", value, position)
        if tag != 0xE000FFFE:
            raise refusal("corrupt")
        position += 8 + length
    if position != len(value):
        raise refusal("truncated")


def check_declared_size(frame: bytes, codec: Codec, rows: int, columns: int) -> None:
    """Raise `ImageRefused("corrupt")` when the codestream's own size is not the data set's, before it is
    decoded.

    The limits were checked against the data set: a codestream of another size would go round them.
    """
    if codec.plugin == "pillow":
        size = Image.open(BytesIO(frame), formats=("JPEG", "JPEG2000")).size
        if size != (columns, rows):
            raise refusal("corrupt")
