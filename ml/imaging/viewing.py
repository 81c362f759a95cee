"""What a viewer must do to a file's stored samples to show what `load_image` shows: the same steps, told and not done.

A viewer works on stored samples, so that a reader can change the window over all of their bits. A step that is no straight
line (a Modality LUT, a VOI LUT, a sigmoid) cannot be told as a window: then `table` does it for every possible sample, and
the window spans what the table gives.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from ml.imaging.decoders import decode
from ml.imaging.dicom import (
    COLOUR,
    grey_scale,
    image_size,
    inflated,
    photometric_interpretation,
    read_data_set,
    read_transfer_syntax,
    sample_format,
    unsigned_short,
)
from ml.imaging.grey_scale import (
    GreyScale,
    Lut,
    Rescale,
    Window,
    WindowFunction,
    possible_values,
    range_of_interest,
    to_grey,
    to_modality,
)
from ml.imaging.image import DEFAULT_LIMITS, GreyImage, Limits
from ml.imaging.kinds import FileKind
from ml.imaging.loading import load_image, read_source, refusing, sniff_or_refuse

#: What a table gives at most; it is 16 bits wide, which is more than any screen shows.
HIGHEST = 2**16 - 1

#: Read for it; the pixels stay where they are.
TAGS = [
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PresentationLUTShape",
    "ModalityLUTSequence",
    "RescaleSlope",
    "RescaleIntercept",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "WindowCenterWidthExplanation",
    "VOILUTFunction",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
]


@dataclass(frozen=True)
class NamedWindow:
    """Values from `low` to `high`, in the units of `Viewing`, run from the darkest to the brightest grey."""

    low: float
    high: float
    explanation: str = ""


@dataclass(frozen=True, eq=False)
class Viewing:
    """How stored samples become grey.

    Attributes:
        bits_allocated, bits_stored, signed: the form of a sample (PS3.5 8.1.1).
        table: uint16, what stands for each possible sample, indexed by its lowest `bits_stored` bits; None where the sample
            stands for itself.
        slope, intercept: units = slope * (what the table gives, or the sample) + intercept. Windows are in these units.
        windows: those of the file, the one to begin with first; empty where the range of the values that are present
            serves, padding left out.
        inverse: the lowest value is white.
        padding: stored values, both included, that are black whatever the window.
    """

    bits_allocated: int
    bits_stored: int
    signed: bool
    table: NDArray[np.uint16] | None = None
    slope: float = 1.0
    intercept: float = 0.0
    windows: tuple[NamedWindow, ...] = ()
    inverse: bool = False
    padding: tuple[int, int] | None = None


def viewing(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Viewing:
    """How the samples of a file are viewed that `stored_samples` gives. Only its header is read, and nothing decoded.

    Raises `ImageRefused` where `load_image` does because of the header.
    """
    data = read_source(data, limits)
    with refusing():
        if sniff_or_refuse(data) is not FileKind.DICOM:
            return _as_it_is(_raster_bits(data))
        ds = read_data_set(inflated(data, limits), header_of=TAGS)
        photometric = photometric_interpretation(ds)
        if photometric in COLOUR:
            return _as_it_is(8)
        bits_stored, signed = sample_format(ds)
        return _viewing(ds, grey_scale(ds, photometric, bits_stored), bits_stored, signed)


def stored_samples(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> NDArray[Any]:
    """The samples of a grey image, (rows, columns), as they are stored; those of a raster or of colours that are grey in fact
    as 8 or 16 bits of grey, 0 black.

    Raises `ImageRefused` as `load_image` does.
    """
    data = read_source(data, limits)
    with refusing():
        if sniff_or_refuse(data) is FileKind.DICOM:
            whole = inflated(data, limits)
            syntax = read_transfer_syntax(whole)
            ds = read_data_set(whole)
            limits.check_pixels(*image_size(ds))
            if photometric_interpretation(ds) not in COLOUR:
                return decode(ds, syntax)
    return _grey_samples(load_image(data, limits=limits))


def _viewing(ds: Dataset, scale: GreyScale, bits_stored: int, signed: bool) -> Viewing:
    allocated = unsigned_short(ds, "BitsAllocated")
    table, windows = None, _windows(ds, scale)
    rescale = scale.modality if isinstance(scale.modality, Rescale) else Rescale(1.0, 0.0)
    stored = possible_values(bits_stored, signed)
    if isinstance(scale.voi, Lut) or _is_sigmoid(scale.voi):
        grey = to_grey(to_modality(stored, scale), scale, (0.0, 0.0))
        table = np.rint(grey * HIGHEST).astype(np.uint16)
        windows = (NamedWindow(0, HIGHEST),)
    elif isinstance(scale.modality, Lut):
        table = np.rint(to_modality(stored, scale)).astype(np.uint16)
    if table is not None:
        rescale = Rescale(1.0, 0.0)
    if not windows and scale.stored_range_is_grey:
        # No sample is looked at: the range is that of all that the file could hold.
        low, high = range_of_interest(np.zeros(1, np.uint8), scale, bits_stored, signed)
        windows = (NamedWindow(low, high),)
    return Viewing(
        bits_allocated=allocated,
        bits_stored=bits_stored,
        signed=signed,
        table=table,
        slope=rescale.slope,
        intercept=rescale.intercept,
        windows=windows,
        inverse=scale.inverse,
        padding=scale.padding,
    )


def _is_sigmoid(voi: Lut | Window | None) -> bool:
    return isinstance(voi, Window) and voi.function is WindowFunction.SIGMOID


def _windows(ds: Dataset, scale: GreyScale) -> tuple[NamedWindow, ...]:
    """The file's own windows that are straight lines, the one that `grey_scale` takes first (PS3.3 C.11.2.1.2)."""
    if not isinstance(scale.voi, Window):
        return ()
    centers, widths = (_numbers(ds, keyword) for keyword in ("WindowCenter", "WindowWidth"))
    texts = _texts(ds, "WindowCenterWidthExplanation")
    found = []
    for place, (center, width) in enumerate(zip(centers, widths, strict=False)):
        window = Window(center, width, scale.voi.function)
        if window.is_valid:
            low, high = ends(window)
            found.append(NamedWindow(low, high, texts[place] if place < len(texts) else ""))
    return tuple(found)


def ends(window: Window) -> tuple[float, float]:
    """The units that are just black and just white (PS3.3 C.11.2.1.2.1 and C.11.2.1.3.2)."""
    center, width = window.center, window.width
    if window.function is WindowFunction.LINEAR:
        center, width = center - 0.5, width - 1
    return center - width / 2, center + width / 2


def _numbers(ds: Dataset, keyword: str) -> list[float]:
    value = ds.get(keyword)
    values = value if isinstance(value, list) or hasattr(value, "append") else [value]
    return [float(one) for one in values if one not in (None, "")]


def _texts(ds: Dataset, keyword: str) -> list[str]:
    value = ds.get(keyword)
    values = [value] if isinstance(value, str) or value is None else [*value]
    return [str(one or "").strip() for one in values]


def _raster_bits(data: bytes) -> int:
    """8 or 16: what Pillow opens as more than a byte a sample comes with 16 bits."""
    with Image.open(BytesIO(data), formats=("PNG", "JPEG", "TIFF")) as image:
        return 16 if image.mode.startswith(("I", "F")) else 8


def _grey_samples(image: GreyImage) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """0 is black, the highest of 8 or 16 bits is white; a raster's 8 or 16 bits come back exactly as they are stored."""
    if image.bits_stored <= 8:
        return np.rint(image.pixels * np.float64(255)).astype(np.uint8)
    return np.rint(image.pixels * np.float64(HIGHEST)).astype(np.uint16)


def _as_it_is(bits: int) -> Viewing:
    return Viewing(
        bits_allocated=bits, bits_stored=bits, signed=False, windows=(NamedWindow(0, 2**bits - 1),)
    )
