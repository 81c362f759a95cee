"""What a viewer is told: followed to the letter, it shows what the one pixel path shows."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydicom import uid

from ml.imaging import ImageRefused, load_image
from ml.imaging.viewing import Viewing, stored_samples, viewing
from ml.phantom import TRANSFER_SYNTAXES, Greys, phantom_dicom, phantom_jpeg
from tests.ml.imaging.files import QUIET, dicom
from tests.ml.imaging.test_dicom import CASES, RAMP12
from tests.ml.imaging.test_grey_scale import lut_item

pytestmark = QUIET


def as_a_viewer(samples: np.ndarray, told: Viewing) -> np.ndarray:
    """Grey, 0 to 1, from stored samples and from nothing else than what is told."""
    mask = 2**told.bits_stored - 1
    values = samples.astype(np.int64) & mask
    if told.signed:
        values[values > mask // 2] -= mask + 1
    present = np.ones(samples.shape, dtype=bool)
    if told.padding is not None:
        present = (values < told.padding[0]) | (values > told.padding[1])
    stored = values
    if told.table is not None:
        values = told.table[values & mask].astype(np.int64)
    units = values * told.slope + told.intercept
    if told.windows:
        low, high = told.windows[0].low, told.windows[0].high
    else:
        among = units[present]
        if told.table is not None and told.padding is None:
            among = told.table[np.arange(stored.min(), stored.max() + 1) & mask] * told.slope + told.intercept
        low, high = (among.min(), among.max()) if among.size else (0.0, 0.0)
    if high > low:
        grey = np.clip((units - low) / (high - low), 0, 1)
    else:
        grey = (units > low).astype(float) if told.windows else np.zeros(units.shape)
    grey = 1 - grey if told.inverse else grey
    grey[~present] = 0
    return grey


def check(content: bytes, *, within: float = 2e-5) -> None:
    expected = load_image(content).pixels
    shown = as_a_viewer(stored_samples(content), viewing(content))
    np.testing.assert_allclose(shown, expected, atol=within)


MORE_CASES = {
    **CASES,
    "padding": (RAMP12, {"bits_stored": 12, "PixelPaddingValue": 4095}),
    "a range of padding": (
        RAMP12,
        {"bits_stored": 12, "PixelPaddingValue": 0, "PixelPaddingRangeLimit": 900, "WindowCenter": 2048}
        | {"WindowWidth": 4096},
    ),
    "one value": (np.full((2, 3), 700, np.uint16), {"bits_stored": 12}),
    "a window of width 1": (RAMP12, {"bits_stored": 12, "WindowCenter": 2000, "WindowWidth": 1}),
    "a falling rescale": (
        RAMP12,
        {"bits_stored": 12, "RescaleSlope": -1, "RescaleIntercept": 4095, "WindowCenter": 1000}
        | {"WindowWidth": 900},
    ),
    "a falling rescale without a window": (
        RAMP12,
        {"bits_stored": 12, "RescaleSlope": -1, "RescaleIntercept": 4095},
    ),
    "a modality table without a window": (
        np.array([[5, 4, 3], [2, 1, 1]], dtype=np.uint16),
        {"ModalityLUTSequence": lut_item(0, [500, 400, 900, 200, 100, 0])},
    ),
    "a sigmoid": (
        RAMP12,
        {"bits_stored": 12, "WindowCenter": 2000, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"},
    ),
}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("samples", "options"), MORE_CASES.values(), ids=MORE_CASES.keys())
def test_the_steps_that_are_told_show_what_the_one_path_shows(samples, options, photometric):
    check(dicom(samples, uid.ExplicitVRLittleEndian, photometric=photometric, **options))


@pytest.mark.parametrize("greys", Greys)
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_every_kind_of_grey_scale_can_be_told(greys, signed, photometric):
    check(
        phantom_dicom(
            3, rows=40, columns=36, bits_stored=12, greys=greys, signed=signed, photometric=photometric
        )
    )


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES, ids=lambda syntax: syntax.name)
def test_the_samples_of_every_transfer_syntax_are_given(syntax):
    bits = 8 if syntax == uid.JPEGBaseline8Bit else 12
    content = phantom_dicom(3, rows=40, columns=36, bits_stored=bits, transfer_syntax=syntax)
    assert stored_samples(content).shape == (40, 36)
    check(content)


def png(samples: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(samples).save(file, "PNG")
    return file.getvalue()


def test_a_raster_of_16_bits_keeps_all_of_them():
    samples = np.arange(60_000, 60_000 + 12, dtype=np.uint16).reshape(3, 4)
    told = viewing(png(samples))
    assert (told.bits_stored, told.windows[0].high) == (16, 65535)
    np.testing.assert_array_equal(stored_samples(png(samples)), samples)


def test_a_raster_of_8_bits_keeps_them():
    samples = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert viewing(png(samples)).bits_stored == 8
    np.testing.assert_array_equal(stored_samples(png(samples)), samples)
    check(phantom_jpeg(5, rows=40, columns=36))


def test_all_windows_of_the_file_are_told_with_their_names_the_first_first():
    content = dicom(
        RAMP12,
        uid.ExplicitVRLittleEndian,
        bits_stored=12,
        WindowCenter=[2048, 1000],
        WindowWidth=[4096, 400],
        WindowCenterWidthExplanation=["NORMAL", "LUNG"],
    )
    told = viewing(content).windows
    assert [(window.low, window.high, window.explanation) for window in told] == [
        (0, 4095, "NORMAL"),
        (800, 1199, "LUNG"),
    ]


def test_what_the_one_path_refuses_is_not_told_either():
    content = dicom(
        RAMP12, uid.ExplicitVRLittleEndian, bits_stored=12, RescaleSlope=2, WindowCenter=1, WindowWidth=2
    )
    with pytest.raises(ImageRefused):
        viewing(content)
