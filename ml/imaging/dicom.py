"""A DICOM file to grey pixels, step by step. The data set is read, checked and never written to."""

import logging
import math
import struct
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from ml.imaging.colour import grey_of_rgb
from ml.imaging.decoders import check_frames, decode, require_decoder
from ml.imaging.grey_scale import (
    STORED_RANGE,
    GreyScale,
    Lut,
    Rescale,
    Window,
    WindowFunction,
    checked_table,
    display_values,
)
from ml.imaging.image import CheckedImage, GreyImage, Limits
from ml.imaging.kinds import FileKind
from ml.imaging.refusals import gettext_noop, refusal

# pydicom's warnings quote the values of elements, and those are patient data: they must reach no log and no
# terminal.
config.settings.reading_validation_mode = config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom\.")

UNDEFINED_LENGTH = 0xFFFFFFFF
FOR_PROCESSING = "FOR PROCESSING"
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


def read_dicom(data: bytes, limits: Limits, *, first_frame: bool = False) -> GreyImage:
    """Return the grey image of a whole DICOM file; with `first_frame`, of several frames the first.

    Raises `ImageRefused`, and whatever pydicom and the decoders raise on damage.
    """
    decoded = _decoded(data, limits, first_frame=first_frame)
    if decoded.scale is None:
        pixels = grey_of_rgb(decoded.samples).astype(np.float32) / np.float32(255)
        mapping = STORED_RANGE
    else:
        pixels = display_values(decoded.samples, decoded.scale, decoded.bits_stored, decoded.signed)
        mapping = decoded.scale.mapping
    return GreyImage(
        pixels=pixels,
        kind=FileKind.DICOM,
        bits_stored=decoded.bits_stored,
        photometric_interpretation=decoded.photometric_interpretation,
        transfer_syntax=decoded.transfer_syntax,
        grey_mapping=mapping,
    )


def check_dicom(data: bytes, limits: Limits, *, first_frame: bool = False) -> CheckedImage:
    """Raise what `read_dicom` would, and make no pixels yet: every sample is decoded and looked at, none is turned into grey."""
    decoded = _decoded(data, limits, first_frame=first_frame)
    samples = decoded.samples
    rows, columns = samples.shape[:2]
    if decoded.scale is None:
        grey = grey_of_rgb(samples)
        return CheckedImage(
            FileKind.DICOM, int(rows), int(columns), lambda: grey.astype(np.float32) / np.float32(255)
        )
    table = checked_table(samples, decoded.scale, decoded.bits_stored, decoded.signed)
    return CheckedImage(FileKind.DICOM, int(rows), int(columns), lambda: table[samples])


@dataclass(frozen=True, eq=False)
class _Decoded:
    """Stored samples, (rows, columns) or for colour (rows, columns, 3), and what turns them into grey.

    `scale` is None for colour, which must be grey in fact.
    """

    samples: NDArray[Any]
    scale: GreyScale | None
    bits_stored: int
    signed: bool
    photometric_interpretation: str
    transfer_syntax: str


def _decoded(data: bytes, limits: Limits, *, first_frame: bool) -> _Decoded:
    stored_as = read_transfer_syntax(data)
    data = inflated(data, limits)
    transfer_syntax = read_transfer_syntax(data)
    require_decoder(transfer_syntax)
    ds = read_data_set(data)
    rows, columns = image_size(ds)
    limits.check_pixels(rows, columns)
    frames = number_of_frames(ds)
    if frames > 1 and not first_frame:
        raise refusal("several_frames")
    check_for_presentation(ds)
    bits_stored, signed = sample_format(ds)
    photometric = photometric_interpretation(ds)
    return _Decoded(
        scale=None if photometric in COLOUR else grey_scale(ds, photometric, bits_stored),
        samples=decode(ds, transfer_syntax),
        bits_stored=bits_stored,
        signed=signed,
        photometric_interpretation=photometric,
        transfer_syntax=str(stored_as),
    )


def check_whole(data: bytes, limits: Limits) -> None:
    """Raise `ImageRefused` (truncated, corrupt, invalid_dicom, inflates_too_large) unless the file holds all that it declares:
    every element, and every frame of its pixel data.
    """
    data = inflated(data, limits)
    transfer_syntax = read_transfer_syntax(data)
    ds = read_data_set(data)
    if "PixelData" in ds:
        check_frames(ds, transfer_syntax)


def inflated(data: bytes, limits: Limits) -> bytes:
    """Return a deflated file (PS3.5 A.5) as one in Explicit VR Little Endian, any other as it is.

    pydicom would inflate without a bound: half a megabyte becomes half a gigabyte. Raises `ImageRefused`: truncated, corrupt,
    inflates_too_large.
    """
    meta_end, uid = _file_meta(data)
    if uid != DeflatedExplicitVRLittleEndian:
        return data
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)  # A.5: without zlib's header and checksum.
    try:
        content = inflater.decompress(data[meta_end:], limits.max_inflated_bytes + 1)
    except zlib.error:
        raise refusal("corrupt") from None
    if len(content) > limits.max_inflated_bytes:
        raise refusal("inflates_too_large", limit=f"{limits.max_inflated_bytes / 1024**2:.0f} MB")
    if not inflater.eof:
        raise refusal("truncated")
    return _EXPLICIT_VR_LITTLE_ENDIAN_FILE + content


def _file_start(transfer_syntax: str) -> bytes:
    value = transfer_syntax.encode() + b"\x00" * (len(transfer_syntax) % 2)
    return b"\x00" * 128 + b"DICM" + struct.pack("<HH2sH", 2, 0x10, b"UI", len(value)) + value


_EXPLICIT_VR_LITTLE_ENDIAN_FILE = _file_start(ExplicitVRLittleEndian)


def read_transfer_syntax(data: bytes) -> UID:
    """Return the Transfer Syntax UID of the file meta information alone (PS3.10 7.1).

    It is read before the rest because the rest may be deflated: pydicom would inflate it, however large it
    is. Raises `ImageRefused`: truncated, invalid_dicom.
    """
    return _file_meta(data)[1]


def _file_meta(data: bytes) -> tuple[int, UID]:
    """Where the file meta information ends, and the Transfer Syntax UID that it names."""
    file = BytesIO(data)
    file.seek(132)
    # The meta information is always Explicit VR Little Endian (PS3.10 7.1).
    meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
    if has_short_element(meta):
        raise refusal("truncated")
    uid = meta.get("TransferSyntaxUID")
    if not isinstance(uid, UID) or not uid.is_valid:
        raise refusal(
            "invalid_dicom", problem=gettext_noop("it does not say how it is encoded (Transfer Syntax UID)")
        )
    return file.tell(), uid


def read_data_set(data: bytes, *, header_of: list[str] | None = None) -> FileDataset:
    """Return the data set of a DICOM file that came through `inflated`.

    With `header_of`, the keywords of elements, it holds these alone and the pixels are not read.

    Raises `ImageRefused("truncated")` when an element is shorter than it says, or the pixel data have no end.
    """
    file = BytesIO(data)
    if header_of is None:
        ds = pydicom.dcmread(file, force=False)
        # pydicom leaves out pixel data whose end marker is missing, and stays in front of them.
        is_whole = file.tell() == len(data)
    else:
        ds = pydicom.dcmread(file, force=False, stop_before_pixels=True, specific_tags=[*header_of])
        is_whole = True
    if not is_whole or has_short_element(ds):
        raise refusal("truncated")
    return ds


def has_short_element(ds: Dataset) -> bool:
    """Whether an element's value is shorter than its length says: the file ends inside it."""
    elements: list[Any] = [ds.get_item(tag) for tag in list(ds.keys())]
    return any(
        isinstance(element, RawDataElement)
        and element.length != UNDEFINED_LENGTH
        and len(element.value or b"") < element.length
        for element in elements
    )


def image_size(ds: Dataset) -> tuple[int, int]:
    """Return Rows and Columns. Raises `ImageRefused`: no_pixel_data, invalid_dicom."""
    if "PixelData" not in ds:
        if "FloatPixelData" in ds or "DoubleFloatPixelData" in ds:
            raise refusal("unsupported_samples", problem=gettext_noop("floating point"))
        raise refusal("no_pixel_data")
    rows, columns = unsigned_short(ds, "Rows"), unsigned_short(ds, "Columns")
    if not rows or not columns:
        raise refusal("invalid_dicom", problem=gettext_noop("it declares an image of no rows or no columns"))
    return rows, columns


def unsigned_short(ds: Dataset, keyword: str) -> int:
    """Return an element of the Image Pixel module that must be one value of VR US (PS3.3 C.7.6.3)."""
    if keyword not in ds:
        raise refusal("invalid_dicom", problem=gettext_noop("{keyword} is missing"), keyword=keyword)
    element = ds[keyword]
    if element.VR != "US" or not isinstance(element.value, int):
        raise refusal(
            "invalid_dicom", problem=gettext_noop("{keyword} is not one unsigned number"), keyword=keyword
        )
    return element.value


def number_of_frames(ds: Dataset) -> int:
    """Return Number of Frames; absent means one. Raises `ImageRefused("invalid_dicom")` for less than one."""
    value = ds.get("NumberOfFrames")
    frames = 1 if value is None else int(value)
    if frames < 1:
        raise refusal("invalid_dicom", problem=gettext_noop("its Number of Frames is less than 1"))
    return frames


def check_for_presentation(ds: Dataset) -> None:
    """Raise `ImageRefused("for_processing")` for a detector's raw data: its values are no picture (PS3.3
    C.8.11.1).
    """
    if str(ds.get("PresentationIntentType") or "").strip().upper() == FOR_PROCESSING:
        raise refusal("for_processing")


def sample_format(ds: Dataset) -> tuple[int, bool]:
    """Return Bits Stored and whether samples are signed (PS3.5 8.1.1). Raises `ImageRefused`."""
    allocated, stored = unsigned_short(ds, "BitsAllocated"), unsigned_short(ds, "BitsStored")
    if allocated not in (8, 16):
        raise refusal(
            "unsupported_samples",
            problem=gettext_noop("{allocated} bits for each sample"),
            allocated=allocated,
        )
    if not 1 <= stored <= allocated:
        raise refusal(
            "invalid_dicom",
            problem=gettext_noop("Bits Stored is {stored} in samples of {allocated} bits"),
            stored=stored,
            allocated=allocated,
        )
    # PS3.5 8.1.1: High Bit shall be one less than Bits Stored. The decoders rely on it without looking.
    if unsigned_short(ds, "HighBit") != stored - 1:
        raise refusal("unsupported_samples", problem=gettext_noop("the stored bits are not the lowest ones"))
    representation = unsigned_short(ds, "PixelRepresentation")
    if representation not in (0, 1):
        raise refusal("invalid_dicom", problem=gettext_noop("Pixel Representation is neither 0 nor 1"))
    return stored, representation == 1


def photometric_interpretation(ds: Dataset) -> str:
    """Return the Photometric Interpretation, one of `GREY` or `COLOUR` and in keeping with the samples per
    pixel.
    """
    photometric = str(ds.get("PhotometricInterpretation") or "").strip()
    samples = unsigned_short(ds, "SamplesPerPixel")
    if photometric in GREY and samples == 1:
        return photometric
    if (
        photometric in COLOUR
        and samples == 3
        and ds.BitsAllocated == ds.BitsStored == 8
        and not ds.PixelRepresentation
    ):
        return photometric
    if samples > 1 or photometric in (*COLOUR, "PALETTE COLOR"):
        raise refusal("not_grey")
    raise refusal("invalid_dicom", problem=gettext_noop("Photometric Interpretation is missing or unknown"))


def grey_scale(ds: Dataset, photometric: str, bits_stored: int) -> GreyScale:
    """Return what the data set says about its grey scale. Raises `ImageRefused` where that contradicts
    itself.
    """
    shape = str(ds.get("PresentationLUTShape") or "").strip().upper()
    # PS3.3 C.7.6.1, Presentation LUT Shape: INVERSE is for MONOCHROME1 alone. The opposite pair
    # (MONOCHROME1 with IDENTITY) is no contradiction: IDENTITY adds nothing to what the photometric
    # interpretation says.
    if shape == "INVERSE" and photometric == "MONOCHROME2":
        raise refusal("contradictory_polarity")
    modality = modality_transform(ds)
    return GreyScale(
        modality=modality,
        voi=voi_transform(ds, modality),
        inverse=photometric == "MONOCHROME1",
        padding=padding_range(ds),
        stored_range_is_grey=bits_stored <= 8 or shape in ("IDENTITY", "INVERSE"),
    )


def modality_transform(ds: Dataset) -> Lut | Rescale | None:
    """Return the Modality LUT or the rescale of PS3.3 C.11.1, of which a file has one at most."""
    if ds.get("ModalityLUTSequence"):
        return lut(ds.ModalityLUTSequence[0], signed_input=ds.PixelRepresentation == 1)
    slope, intercept = number(ds, "RescaleSlope"), number(ds, "RescaleIntercept")
    if slope is None and intercept is None:
        return None
    # C.11.1: where one is present the other is required; half a rescale would put the window in the wrong
    # place.
    if slope is None or intercept is None or slope == 0:
        raise refusal("invalid_dicom", problem=gettext_noop("its Rescale Slope and Intercept are incomplete"))
    return Rescale(slope, intercept)


def voi_transform(ds: Dataset, modality: Lut | Rescale | None) -> Lut | Window | None:
    """Return the first VOI LUT or else the first window (PS3.3 C.11.2), None where the file has neither."""
    if ds.get("VOILUTSequence"):
        # C.11.2.1.1: the input is what the modality step gives, which can be negative for unsigned samples
        # too.
        below_zero = isinstance(modality, Rescale) and (modality.intercept < 0 or modality.slope < 0)
        return lut(
            ds.VOILUTSequence[0],
            signed_input=below_zero or (modality is None and ds.PixelRepresentation == 1),
        )
    center, width = number(ds, "WindowCenter"), number(ds, "WindowWidth")
    if center is None or width is None or width == 0:
        # Devices write a width of 0, which no function allows, for “no window”.
        return None
    name = str(ds.get("VOILUTFunction") or WindowFunction.LINEAR).strip().upper()
    if name not in WindowFunction.__members__:
        raise refusal("invalid_dicom", problem=gettext_noop("its VOI LUT Function is unknown"))
    window = Window(center, width, WindowFunction(name))
    if not window.is_valid:
        raise refusal(
            "invalid_dicom", problem=gettext_noop("its Window Width is too small for its VOI LUT Function")
        )
    return window


def number(ds: Dataset, keyword: str) -> float | None:
    """Return the first value of a decimal string element, None where it is absent or empty."""
    value = ds.get(keyword)
    if isinstance(value, (list, pydicom.multival.MultiValue)):
        value = value[0] if value else None
    if value is None or value == "":
        return None
    result = float(value)
    if not math.isfinite(result):
        raise refusal("invalid_dicom", problem=gettext_noop("{keyword} is not a number"), keyword=keyword)
    return result


def lut(item: Dataset, *, signed_input: bool) -> Lut:
    """Return the table of one item of a Modality or VOI LUT Sequence (PS3.3 C.11.1.1 and C.11.2.1.1).

    The number of entries is 0 for 65536, and unsigned whatever the element's VR; the first value mapped is
    signed where the table's input can be. Entries of 8 bits come one to a byte or one to a word; the length
    of the data tells which.
    """
    problem = gettext_noop("one of its lookup tables contradicts its own description")
    descriptor = [int(value) & 0xFFFF for value in item.LUTDescriptor]
    if len(descriptor) != 3:
        raise refusal("invalid_dicom", problem=problem)
    count, first_value, bits = descriptor[0] or 2**16, descriptor[1], descriptor[2]
    if item["LUTDescriptor"].VR == "SS" or signed_input:
        first_value -= (first_value & 0x8000) << 1
    words = _words(item)
    if len(words) < count:
        words = words.view(np.uint8).astype(np.uint16)
    entries = words[:count]
    if not 8 <= bits <= 16 or len(entries) != count or int(entries.max()) >= 2**bits:
        raise refusal("invalid_dicom", problem=problem)
    return Lut(first_value, bits, entries)


def _words(item: Dataset) -> NDArray[np.uint16]:
    """LUT Data as 16-bit words, in the machine's order: bytes for VR OW, one number or a list of them for
    VR US.
    """
    value = item.LUTData
    if isinstance(value, bytes):
        order = "<" if item.original_encoding[1] is not False else ">"
        return np.frombuffer(value[: len(value) // 2 * 2], dtype=f"{order}u2").astype(np.uint16)
    return np.atleast_1d(np.asarray(value, dtype=np.uint16))


def padding_range(ds: Dataset) -> tuple[int, int] | None:
    """Return the lowest and the highest stored value that is padding (PS3.3 C.7.5.1.1.2), None for none."""
    values = [ds.get("PixelPaddingValue"), ds.get("PixelPaddingRangeLimit")]
    if not isinstance(values[0], int):
        return None
    stored = [_as_stored(value, ds.PixelRepresentation) for value in values if isinstance(value, int)]
    return min(stored), max(stored)


def _as_stored(value: int, representation: int) -> int:
    """The value as samples of that Pixel Representation have it: writers confuse VR US and SS here."""
    if representation:
        return value - 0x10000 if value > 0x7FFF else value
    return value & 0xFFFF
