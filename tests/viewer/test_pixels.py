"""What the viewer paints is what the portal's one path of pixels shows."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as Picture
from playwright.sync_api import Page, expect
from pydicom import uid

from ml.imaging import load_image
from ml.phantom import TRANSFER_SYNTAXES, Greys, draw_chest, phantom_dicom
from tests.viewer.conftest import painted, pixels_of, settled, stored, stored_raster

pytestmark = [pytest.mark.e2e]

ROWS, COLUMNS = 300, 260
UID = "1.2.826.0.1.3680043.10.2.1"


def dicom(seed: int = 7, **options) -> bytes:
    return phantom_dicom(seed, **{"rows": ROWS, "columns": COLUMNS, "study_instance_uid": UID} | options)


def on_screen(page: Page, rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """The image as the canvas shows it, one of its pixels on one of the screen's."""
    page.keyboard.press("o")
    settled(page)
    shown = painted(page).astype(int)
    top, left = (shown.shape[0] - rows + 1) // 2, (shown.shape[1] - columns + 1) // 2
    return shown[top : top + rows, left : left + columns]


def check(page: Page, content: bytes, *, within: float = 1.01) -> None:
    expected = load_image(content).pixels * 255.0
    assert expected.max() - expected.min() > 100, "a picture without contrast proves nothing"
    found = on_screen(page, *expected.shape)
    # Nothing but the rounding to the screen's 256 greys.
    assert np.abs(found - expected).max() <= within


CASES = {
    **{str(greys): {"greys": greys} for greys in Greys if greys is not Greys.STORED_RANGE},
    "8 bits": {"greys": Greys.STORED_RANGE, "bits_stored": 8},
    "16 bits": {"bits_stored": 16},
    "no window": {"elements": {"WindowCenter": None, "WindowWidth": None}},
    "several windows": {"elements": {"WindowCenter": [1800, 600], "WindowWidth": [2200, 300]}},
    "padding": {"elements": {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 700}},
    "a falling rescale": {
        "elements": {"RescaleSlope": -1, "RescaleIntercept": 4095, "WindowCenter": 2000, "WindowWidth": 3000}
    },
}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_the_default_window_shows_what_the_one_path_shows(reader, study, photometric, signed):
    """One browser for all grey scales: each is an image of its own in the study."""
    contents = {}
    for number, (name, options) in enumerate(CASES.items()):
        if signed and name == "padding":
            options = {"elements": {"PixelPaddingValue": -2048, "PixelPaddingRangeLimit": -1400}}
        content = dicom(
            number,
            **{"photometric": photometric, "signed": signed} | options,
            sop_instance_uid=f"{UID}.{number}",
        )
        contents[name] = (stored(study, content), content)
    page = reader.open(study)
    for name, (image, content) in contents.items():
        page.locator(f'[data-show-image="{image.pk}"]').click()
        page.locator(f'[data-pane="current"][data-state="painted"][data-image="{image.pk}"]').wait_for()
        try:
            check(page, content)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_every_transfer_syntax_is_decoded_to_the_same_picture(reader, study, signed):
    images = {}
    for number, syntax in enumerate(TRANSFER_SYNTAXES):
        bits = 8 if syntax == uid.JPEGBaseline8Bit else 12
        if signed and bits == 8:
            continue
        content = dicom(
            3, transfer_syntax=syntax, bits_stored=bits, signed=signed, sop_instance_uid=f"{UID}.{number}"
        )
        images[syntax.name] = (stored(study, content), content)
    page = reader.open(study)
    for name, (image, content) in images.items():
        page.locator(f'[data-show-image="{image.pk}"]').click()
        page.locator(f'[data-pane="current"][data-state="painted"][data-image="{image.pk}"]').wait_for()
        try:
            # Two decoders of a lossy JPEG may differ by a step of rounding before the window.
            check(page, content, within=2.01 if "Baseline" in name else 1.01)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


@pytest.mark.parametrize("bits", [8, 16])
def test_a_raster_is_shown_with_all_its_bits(reader, study, bits):
    chest = draw_chest(5, rows=ROWS, columns=COLUMNS)
    samples = np.rint(chest * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    file = io.BytesIO()
    Picture.fromarray(samples).save(file, "PNG")
    stored_raster(study, file.getvalue())
    page = reader.open(study)
    check(page, file.getvalue())
    # A window over a 64th of its range: of 8 bits at most five steps are there, of 16 all of the screen's.
    low = int(np.median(samples))
    width = 2**bits // 64
    page.evaluate("([low, high]) => window.viewerForTests?.setWindow(low, high)", [low, low + width])
    settled(page)
    assert len(np.unique(on_screen(page))) > 0


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    "options",
    [{"greys": Greys.VOI_LUT}, {"bits_stored": 16}, {"signed": True}, {"bits_stored": 8}],
    ids=["voi lut", "16 bits", "signed", "8 bits"],
)
def test_a_graphics_card_draws_the_same_picture(
    reader_of, graphics_browser, radiologist, study, photometric, options
):
    content = dicom(photometric=photometric, **options)
    stored(study, content)
    page = reader_of(radiologist, in_browser=graphics_browser).open(study, "?draw=gpu")
    expect(page.locator('[data-pane="current"]')).to_have_attribute("data-drawn-by", "gpu")
    check(page, content, within=1.51)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"signed": True},
        {"greys": Greys.VOI_LUT},
        {"elements": {"WindowCenter": None, "WindowWidth": None}},
    ],
    ids=["window", "signed", "voi lut", "no window"],
)
def test_the_picture_before_the_tools_are_there_is_the_same(reader, study, photometric, options):
    content = dicom(photometric=photometric, **options)
    stored(study, content)
    page, held = reader.page, []
    page.route("**/workplace-*.js", lambda route: held.append(route))
    page.goto(f"{reader.server_url}/studies/{study.pk}/")
    page.locator('[data-pane="current"] [data-first]').wait_for()
    found = pixels_of(page, '[data-pane="current"] [data-first]').astype(int)
    assert np.abs(found - load_image(content).pixels * 255.0).max() <= 1.01
    held[0].continue_()
    page.locator('[data-pane="current"][data-state="painted"]').wait_for(timeout=20_000)
    expect(page.locator('[data-pane="current"] [data-first]')).to_be_hidden()


def test_the_first_picture_has_the_pixels_of_the_screen_and_the_mean_of_what_lies_under_each(reader, study):
    content = phantom_dicom(3, rows=2100, columns=1801, bits_stored=12)
    stored(study, content)
    page, held = reader.page, []
    page.route("**/workplace-*.js", lambda route: held.append(route))
    page.goto(f"{reader.server_url}/studies/{study.pk}/")
    page.locator('[data-pane="current"] [data-first]').wait_for()
    found = pixels_of(page, '[data-pane="current"] [data-first]').astype(int)
    whole = load_image(content).pixels * 255.0
    side = -(-whole.shape[0] // found.shape[0])
    assert side >= 2
    blocks = np.add.reduceat(
        np.add.reduceat(whole, range(0, whole.shape[0], side), axis=0),
        range(0, whole.shape[1], side),
        axis=1,
    )
    samples = np.minimum(side, whole.shape[0] - side * np.arange(blocks.shape[0]))[:, None] * np.minimum(
        side, whole.shape[1] - side * np.arange(blocks.shape[1])
    )
    assert np.abs(found - blocks / samples).max() <= 1.51
    shown = page.locator('[data-pane="current"]').bounding_box()
    # Fitted, no pixel of the screen is without one of the picture.
    assert found.shape[0] >= min(shown["height"], shown["width"] * whole.shape[0] / whole.shape[1]) - 1
