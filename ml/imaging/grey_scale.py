"""DICOM's grey scale pipeline as small pure functions (PS3.4 N.2): modality, then values of interest, then
polarity.

Every step maps an array of values to an array of values, so each can be applied to a whole image or, as
`lookup_table` does, to the few thousand values that a stored sample can have; the image then costs one
table look-up.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

#: What `GreyScale.mapping` says where the file names neither a VOI LUT nor a window.
STORED_RANGE = "stored range"
VALUES_PRESENT = "values present"


@dataclass(frozen=True, eq=False)
class Lut:
    """A lookup table as LUT Descriptor and LUT Data describe it (PS3.3 C.11.1.1, C.11.2.1.1)."""

    first_value: int
    bits: int
    entries: NDArray[np.uint16]

    def __call__(self, values: Values) -> Values:
        """Values below the first mapped one take the first entry, those after the last one the last
        (C.11.1.1.1).
        """
        index = np.clip(np.rint(values) - self.first_value, 0, len(self.entries) - 1).astype(np.intp)
        return self.entries[index].astype(np.float64)


@dataclass(frozen=True)
class Rescale:
    """Output units = slope * stored value + intercept (PS3.3 C.11.1.1.2)."""

    slope: float
    intercept: float

    def __call__(self, values: Values) -> Values:
        return values * self.slope + self.intercept


class WindowFunction(StrEnum):
    """VOI LUT Function (0028,1056), PS3.3 C.11.2.1.3."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True)
class Window:
    """Window Center and Width with their function, to 0..1 (PS3.3 C.11.2.1.2 and C.11.2.1.3, y_min = 0,
    y_max = 1).
    """

    center: float
    width: float
    function: WindowFunction = WindowFunction.LINEAR

    @property
    def is_valid(self) -> bool:
        """The widths that the standard allows: at least 1 for LINEAR (C.11.2.1.2.1), more than 0 otherwise
        (C.11.2.1.3).
        """
        finite = bool(np.isfinite(self.center) and np.isfinite(self.width))
        return finite and (self.width >= 1 if self.function is WindowFunction.LINEAR else self.width > 0)

    def __call__(self, values: Values) -> Values:
        if self.function is WindowFunction.SIGMOID:
            # C.11.2.1.3.1. The exponent is bounded where the result no longer changes: exp would overflow
            # far outside.
            return 1 / (1 + np.exp(np.clip(-4 * (values - self.center) / self.width, -700, 700)))
        if self.function is WindowFunction.LINEAR_EXACT:
            return _ramp(values, self.center, self.width)  # C.11.2.1.3.2
        return _ramp(values, self.center - 0.5, self.width - 1)  # C.11.2.1.2.1


def _ramp(values: Values, center: float, width: float) -> Values:
    """0 up to center - width / 2, 1 above center + width / 2, a line between; a width of 0 is a step
    (LINEAR of width 1).
    """
    if width == 0:
        return (values > center).astype(np.float64)
    return np.clip((values - center) / width + 0.5, 0, 1)


@dataclass(frozen=True)
class GreyScale:
    """What one data set says about its grey scale.

    Attributes:
        modality: stored values to output units, None for identity (PS3.3 C.11.1).
        voi: output units to grey, None where the file has neither a VOI LUT nor a window (PS3.3 C.11.2).
        inverse: the lowest value is white (MONOCHROME1, PS3.3 C.7.6.3.1.2).
        padding: the stored values from the first to the second, both included, are no part of the image
            (C.7.5.1.1.2).
        stored_range_is_grey: without `voi`, the whole stored range is grey as it is (see
            `range_of_interest`).
    """

    modality: Lut | Rescale | None = None
    voi: Lut | Window | None = None
    inverse: bool = False
    padding: tuple[int, int] | None = None
    stored_range_is_grey: bool = False

    @property
    def mapping(self) -> str:
        """How values become grey, in words: for the technical details of an image."""
        if isinstance(self.voi, Lut):
            return "VOI LUT"
        if isinstance(self.voi, Window):
            return f"{self.voi.function} {self.voi.center:g}/{self.voi.width:g}"
        return STORED_RANGE if self.stored_range_is_grey else VALUES_PRESENT


def to_modality(values: Values, scale: GreyScale) -> Values:
    """Stored values to output units: the first step, PS3.4 N.2.1.1."""
    return values if scale.modality is None else scale.modality(values)


def to_grey(values: Values, scale: GreyScale, interest: tuple[float, float]) -> Values:
    """Output units to 0..1, lowest first: PS3.4 N.2.1.3 (values of interest). `interest` serves where the
    file names none.
    """
    if isinstance(scale.voi, Lut):
        return scale.voi(values) / (2**scale.voi.bits - 1)  # Outputs are 0 to 2^n - 1 (PS3.3 C.11.2.1.1).
    if isinstance(scale.voi, Window):
        return scale.voi(values)
    low, high = interest
    # An image of one single value has no contrast to show; it is as dark as its file can say.
    return np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros_like(values)


def to_display(grey: Values, scale: GreyScale) -> Values:
    """The last step: 1 = white, whatever the photometric interpretation (PS3.3 C.7.6.3.1.2)."""
    return 1 - grey if scale.inverse else grey


def is_padding(stored: Values, scale: GreyScale) -> NDArray[np.bool_]:
    """Which stored values are padding (PS3.3 C.7.5.1.1.2): no step is applied to them, and they are shown
    black.
    """
    if scale.padding is None:
        return np.zeros(stored.shape, dtype=bool)
    low, high = scale.padding
    return (stored >= low) & (stored <= high)


def possible_values(bits_stored: int, signed: bool) -> Values:
    """Every value of a stored sample, in the order in which NumPy indexes: 0, 1, ... and then, where
    signed, -n ... -1.
    """
    values = np.arange(2**bits_stored, dtype=np.float64)
    if signed:
        values[2 ** (bits_stored - 1) :] -= 2**bits_stored
    return values


def range_of_interest(
    samples: NDArray[np.integer], scale: GreyScale, bits_stored: int, signed: bool
) -> tuple[float, float]:
    """The output units that become black and white in a file with neither window nor VOI LUT.

    Where the file says that its values are P-Values (Presentation LUT Shape: the VOI step is then the
    identity, PS3.3 C.11.6) or stores 8 bits at most (an export that is grey as it is: it must come out like
    the same image as a PNG), that is the whole stored range. Deeper samples seldom fill their range (12
    bits of anatomy in 16 stored bits would be all black), so theirs is the range of the values that are
    present, padding left out.
    """
    possible = possible_values(bits_stored, signed)
    if not scale.stored_range_is_grey:
        if scale.padding is None:
            possible = np.array([samples.min(), samples.max()], dtype=np.float64)
            if isinstance(scale.modality, Lut):
                # A table need not be monotonic: its extremes may lie between those of the stored values.
                possible = np.arange(possible[0], possible[1] + 1)
        else:
            present = np.zeros(2**bits_stored, dtype=bool)
            present[samples] = True
            possible = possible[present & ~is_padding(possible, scale)]
    if not possible.size:
        return 0.0, 0.0
    units = to_modality(possible, scale)
    return float(units.min()), float(units.max())


def lookup_table(
    scale: GreyScale, bits_stored: int, signed: bool, interest: tuple[float, float]
) -> NDArray[np.float32]:
    """Return the display value (0..1, 1 = white) of every stored value; index it with the samples
    themselves.
    """
    stored = possible_values(bits_stored, signed)
    display = to_display(to_grey(to_modality(stored, scale), scale, interest), scale)
    display[is_padding(stored, scale)] = 0
    return display.astype(np.float32)


def display_values(
    samples: NDArray[np.integer], scale: GreyScale, bits_stored: int, signed: bool
) -> NDArray[np.float32]:
    """Return the display values (0..1, 1 = white; float32, the samples' shape) of an image's stored samples.

    Raises IndexError when a sample lies outside what `bits_stored` can hold.
    """
    return _table_for(samples, scale, bits_stored, signed)[samples]


def checked_table(
    samples: NDArray[np.integer], scale: GreyScale, bits_stored: int, signed: bool
) -> NDArray[np.float32]:
    """Return what the samples index to become `display_values`, without making that array: four bytes for each sample.

    Raises what `display_values` would.
    """
    table = _table_for(samples, scale, bits_stored, signed)
    if samples.max() >= len(table) or samples.min() < -len(table):
        raise IndexError("a sample lies outside what Bits Stored can hold")
    return table


def _table_for(
    samples: NDArray[np.integer], scale: GreyScale, bits_stored: int, signed: bool
) -> NDArray[np.float32]:
    interest = range_of_interest(samples, scale, bits_stored, signed) if scale.voi is None else (0.0, 0.0)
    return lookup_table(scale, bits_stored, signed, interest)
