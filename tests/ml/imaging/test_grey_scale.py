"""Each step of the grey scale, with values worked out by hand from PS3.3."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence

from ml.imaging.dicom import grey_scale
from ml.imaging.grey_scale import (
    GreyScale,
    Lut,
    Rescale,
    Window,
    WindowFunction,
    display_values,
    is_padding,
    lookup_table,
    possible_values,
    range_of_interest,
    to_display,
    to_grey,
    to_modality,
)
from tests.ml.imaging.files import data_set


def values(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float64)


@pytest.mark.parametrize(
    ("center", "width", "below", "above"),
    [(2048, 4096, 0, 4095), (0, 100, -50, 49), (2048, 1, 2047, 2048)],
    ids=["the whole of 12 bits", "around zero", "one value wide"],
)
def test_a_linear_window_is_black_up_to_and_white_from_where_the_standard_says(center, width, below, above):
    # The examples of PS3.3 C.11.2.1.2.1.
    window = Window(center, width)
    assert window(values(below - 1, below, above, above + 1)).tolist() == [0, 0, 1, 1]


def test_a_linear_window_rises_in_a_line():
    # C.11.2.1.2.1: (x - (c - 0.5)) / (w - 1) + 0.5, with c = 0 and w = 100.
    assert Window(0, 100)(values(-25, 0, 24)) == pytest.approx(values(25, 50, 74) / 99)


def test_a_linear_exact_window_spans_exactly_its_width():
    # C.11.2.1.3.2: ((x - c) / w + 0.5).
    window = Window(10, 4, WindowFunction.LINEAR_EXACT)
    assert window(values(7, 8, 9, 10, 11, 12, 13)).tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1]


def test_a_sigmoid_window_has_its_value_at_its_centre_and_never_overflows():
    # C.11.2.1.3.1: 1 / (1 + exp(-4 (x - c) / w)).
    window = Window(100, 8, WindowFunction.SIGMOID)
    expected = values(0, 1 / (1 + np.e), 0.5, 1 / (1 + 1 / np.e), 1)
    with np.errstate(over="raise"):
        assert window(values(-1e9, 98, 100, 102, 1e9)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("function", "width", "is_valid"),
    [
        (WindowFunction.LINEAR, 1, True),
        (WindowFunction.LINEAR, 0.9, False),
        (WindowFunction.LINEAR_EXACT, 0.1, True),
        (WindowFunction.LINEAR_EXACT, -1, False),
        (WindowFunction.SIGMOID, 0.1, True),
        (WindowFunction.SIGMOID, float("inf"), False),
    ],
)
def test_each_function_has_its_own_smallest_width(function, width, is_valid):
    assert Window(0, width, function).is_valid is is_valid


def test_values_outside_a_table_take_its_first_and_last_entry():
    table = Lut(-2, 8, np.array([10, 20, 30], dtype=np.uint16))
    assert table(values(-99, -3, -2, -1, 0, 1, 99)).tolist() == [10, 10, 10, 20, 30, 30, 30]


def test_a_voi_table_is_scaled_by_its_bits_not_by_its_largest_entry():
    scale = GreyScale(voi=Lut(0, 10, np.array([0, 511, 1022], dtype=np.uint16)))
    assert to_grey(values(0, 1, 2), scale, (0, 0)) == pytest.approx(values(0, 511 / 1023, 1022 / 1023))


def test_a_negative_slope_turns_the_order_of_the_values_round():
    scale = GreyScale(modality=Rescale(-2, 10), stored_range_is_grey=True)
    shown = display_values(np.array([[0, 255]], dtype=np.uint8), scale, 8, signed=False)
    assert shown.tolist() == [[1, 0]]


def test_monochrome1_is_inverted_after_the_window_not_before():
    scale = GreyScale(voi=Window(3, 3), inverse=True)
    # A window around 2.5; values inverted before it would lie around 12.5, and all be white.
    shown = display_values(np.array([[1, 2, 3, 4, 5]], dtype=np.uint8), scale, 4, signed=False)
    assert shown.tolist() == [[1, 0.75, 0.25, 0, 0]]


def test_without_a_window_deep_samples_span_the_values_present():
    samples = np.array([[1000, 1500, 2000]], dtype=np.uint16)
    assert display_values(samples, GreyScale(), 16, signed=False).tolist() == [[0, 0.5, 1]]


def test_the_values_present_span_what_a_bent_modality_table_makes_of_them():
    peak = Lut(0, 16, np.array([5, 9, 7], dtype=np.uint16))
    samples = np.array([[0, 2]], dtype=np.uint16)
    assert range_of_interest(samples, GreyScale(modality=peak), 16, signed=False) == (5, 9)


def test_p_values_span_the_stored_range_whatever_is_present():
    samples = np.array([[1023, 2046]], dtype=np.uint16)
    shown = display_values(samples, GreyScale(stored_range_is_grey=True), 12, signed=False)
    assert shown == pytest.approx(np.array([[1023, 2046]]) / 4095)


def test_padding_is_black_and_does_not_stretch_the_values_present():
    samples = np.array([[-2000, -1999, 0, 100]], dtype=np.int16)
    scale = GreyScale(padding=(-2000, -1999))
    assert display_values(samples, scale, 16, signed=True).tolist() == [[0, 0, 0, 1]]
    inverted = GreyScale(padding=(-2000, -1999), inverse=True)
    assert display_values(samples, inverted, 16, signed=True).tolist() == [[0, 0, 1, 0]]


@pytest.mark.parametrize(
    "scale", [GreyScale(), GreyScale(padding=(7, 7))], ids=["one value", "padding alone"]
)
def test_an_image_of_one_value_is_black_and_never_divides_by_zero(scale):
    samples = np.full((2, 2), 7, dtype=np.uint16)
    with np.errstate(all="raise"):
        assert display_values(samples, scale, 16, signed=False).tolist() == [[0, 0], [0, 0]]


def test_a_sample_outside_its_stored_bits_is_an_error_not_a_neighbour_in_memory():
    with pytest.raises(IndexError):
        display_values(
            np.array([[4096]], dtype=np.uint16), GreyScale(voi=Window(2048, 4096)), 12, signed=False
        )


FUNCTIONS = st.sampled_from(list(WindowFunction))
SHORT = st.integers(-40, 40)
LUTS = st.builds(
    lambda first, entries: Lut(first, 8, np.array(entries, dtype=np.uint16)),
    SHORT,
    st.lists(st.integers(0, 255), min_size=1, max_size=30),
)
SCALES = st.builds(
    GreyScale,
    modality=st.none() | LUTS | st.builds(Rescale, st.sampled_from([-2.0, 0.5, 1.0, 3.0]), SHORT),
    voi=st.none() | LUTS | st.builds(Window, SHORT, st.integers(1, 60), FUNCTIONS),
    inverse=st.booleans(),
    padding=st.none() | st.tuples(SHORT, SHORT).map(lambda pair: (min(pair), max(pair))),
    stored_range_is_grey=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(scale=SCALES, bits=st.integers(1, 8), signed=st.booleans(), data=st.data())
def test_the_lookup_table_equals_the_steps_on_the_image_itself(scale, bits, signed, data):
    lowest = -(2 ** (bits - 1)) if signed else 0
    numbers = data.draw(st.lists(st.integers(lowest, lowest + 2**bits - 1), min_size=1, max_size=20))
    samples = np.array([numbers], dtype=np.int16 if signed else np.uint16)

    stored = samples.astype(np.float64)
    interest = range_of_interest(samples, scale, bits, signed)
    step_by_step = to_display(to_grey(to_modality(stored, scale), scale, interest), scale)
    step_by_step[is_padding(stored, scale)] = 0

    by_table = display_values(samples, scale, bits, signed)
    assert np.array_equal(by_table, step_by_step.astype(np.float32))
    assert by_table.dtype == np.float32
    assert 0 <= by_table.min() <= by_table.max() <= 1


def test_the_table_is_in_the_order_in_which_samples_index_it():
    assert possible_values(3, signed=True).tolist() == [0, 1, 2, 3, -4, -3, -2, -1]
    table = lookup_table(GreyScale(stored_range_is_grey=True), 3, True, (-4, 3))
    assert table[np.array([-4, 3])].tolist() == [0, 1]


def lut_item(first: int, entries: list[int], *, bits: int = 16, vr: str = "US") -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return Sequence([item])


CURVE = [int(4095 * (index / 4095) ** 0.6) for index in range(4096)]
BRANCHES = {
    "window": {"WindowCenter": 1900, "WindowWidth": 2500},
    "exact window": {"WindowCenter": 1900, "WindowWidth": 2500, "VOILUTFunction": "LINEAR_EXACT"},
    "sigmoid": {"WindowCenter": 1900, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"},
    "first of two windows": {"WindowCenter": [1900, 100], "WindowWidth": [2500, 7]},
    "rescale and window": {
        "RescaleSlope": 2,
        "RescaleIntercept": -100,
        "WindowCenter": 3000,
        "WindowWidth": 5000,
    },
    "falling rescale": {
        "RescaleSlope": -1,
        "RescaleIntercept": 4095,
        "WindowCenter": 2000,
        "WindowWidth": 3000,
    },
    "modality table and window": {
        "ModalityLUTSequence": lut_item(0, CURVE, bits=16),
        "WindowCenter": 2000,
        "WindowWidth": 3500,
    },
    "voi table": {"VOILUTSequence": lut_item(100, CURVE[:3000], bits=12)},
    "voi table before window": {
        "VOILUTSequence": lut_item(100, CURVE[:3000], bits=12),
        "WindowCenter": 5,
        "WindowWidth": 5,
    },
}


@pytest.mark.parametrize("elements", BRANCHES.values(), ids=BRANCHES.keys())
def test_every_branch_equals_pydicoms_own_processing(elements):
    samples = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    ds = data_set(samples, bits_stored=12, **elements)
    reference = apply_voi_lut(apply_modality_lut(samples, ds), ds).astype(np.float64)
    if "VOILUTSequence" in ds:
        lowest, highest = 0, 2 ** ds.VOILUTSequence[0].LUTDescriptor[2] - 1
    else:
        # Windows give pydicom's output range, which is that of the modality step for the stored range.
        ends = apply_modality_lut(np.array([0, 4095]), ds)
        lowest, highest = (0, 65535) if "ModalityLUTSequence" in ds else (float(ends[0]), float(ends[1]))
    expected = (reference - lowest) / (highest - lowest)
    shown = display_values(samples, grey_scale(ds, "MONOCHROME2", 12), 12, signed=False)
    assert shown == pytest.approx(expected, abs=1e-6)
