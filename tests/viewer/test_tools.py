"""What each tool does to the picture, by mouse and by keyboard alone."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image as Picture
from playwright.sync_api import Page, expect

from ml.imaging import load_image
from tests.factories import ModelVersionFactory, PredictionFactory
from tests.viewer.conftest import painted, settled, stored, stored_raster
from tests.viewer.test_pixels import COLUMNS, ROWS, dicom, on_screen

pytestmark = [pytest.mark.e2e]

UID = "1.2.826.0.1.3680043.10.2.1"


@pytest.fixture
def content() -> bytes:
    # Not square, and no side like the other: a wrong turn cannot look right.
    return dicom()


@pytest.fixture
def page(reader, study, content) -> Page:
    stored(study, content)
    return reader.open(study)


def greys(content: bytes) -> np.ndarray:
    return load_image(content).pixels * 255.0


def readout(page: Page, which: str = "current") -> str:
    return page.locator(f'[data-pane="{which}"] [data-readout]').inner_text()


def edge(page: Page, name: str) -> str:
    return page.locator(f'[data-pane="current"] [data-edge="{name}"]').inner_text()


def edges(page: Page) -> str:
    return "".join(edge(page, name) for name in ("top", "right", "bottom", "left"))


def drag(page: Page, start: tuple[float, float], by: tuple[float, float], button: str = "left") -> None:
    """From a place in the pane, both in pixels of the screen."""
    box = page.locator('[data-pane="current"]').bounding_box()
    page.mouse.move(box["x"] + start[0], box["y"] + start[1])
    page.mouse.down(button=button)
    for step in range(1, 6):
        page.mouse.move(box["x"] + start[0] + by[0] * step / 5, box["y"] + start[1] + by[1] * step / 5)
    page.mouse.up(button=button)
    settled(page)


def place_of(
    page: Page, column: float, row: float, size: tuple[int, int] = (ROWS, COLUMNS)
) -> tuple[float, float]:
    """Where a point of the image is in the pane, at one to one."""
    box = page.locator('[data-pane="current"]').bounding_box()
    return (
        (round(box["width"]) - size[1] + 1) // 2 + column,
        (round(box["height"]) - size[0] + 1) // 2 + row,
    )


TURNS = {
    "r": (lambda picture: np.rot90(picture, -1), "RHLF"),
    "rr": (lambda picture: np.rot90(picture, 2), "FRHL"),
    "l": (lambda picture: np.rot90(picture, 1), "LFRH"),
    "h": (np.fliplr, "HRFL"),
    "v": (np.flipud, "FLHR"),
    "rh": (lambda picture: np.fliplr(np.rot90(picture, -1)), "RFLH"),
    "hr": (lambda picture: np.rot90(np.fliplr(picture), -1), "LHRF"),
}


@pytest.mark.parametrize("keys", TURNS)
@pytest.mark.parametrize("draw", ["cpu", "gpu"])
def test_rotating_and_flipping_turn_the_picture_and_its_side_markers_alike(
    reader_of, radiologist, graphics_browser, study, content, keys, draw
):
    stored(study, content)
    page = reader_of(radiologist, in_browser=graphics_browser).open(study, f"?draw={draw}")
    assert edges(page) == "HLFR"
    for key in keys:
        page.keyboard.press(key)
    turn, expected = TURNS[keys]
    picture = turn(greys(content))
    np.testing.assert_allclose(on_screen(page, *picture.shape), picture, atol=1.51)
    assert edges(page) == expected


def test_reset_brings_back_what_the_file_says(page, content):
    before = readout(page)
    for key in ("r", "h", "i", "+", "+", "3"):
        page.keyboard.press(key)
    settled(page)
    assert readout(page) != before
    page.keyboard.press(" ")
    settled(page)
    assert (readout(page), edges(page)) == (before, "HLFR")
    np.testing.assert_allclose(on_screen(page), greys(content), atol=1.01)


def test_inverting_turns_black_to_white(page, content):
    page.keyboard.press("i")
    expect(page.get_by_role("button", name="Invert")).to_have_attribute("aria-pressed", "true")
    np.testing.assert_allclose(on_screen(page), 255 - greys(content), atol=1.01)


def test_a_drag_changes_the_window_on_all_bits(page, content):
    assert "C 2048 W 4096" in readout(page)
    on_screen(page)
    drag(page, (300, 300), (-500, 0))
    narrow = re.search(r"C (\S+) W (\S+) ·", readout(page))
    center, width = float(narrow[1]), float(narrow[2])
    assert width < 1000
    low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    expected = np.clip((greys(content) / 255 * 4095 - low) / (high - low), 0, 1) * 255
    # The readout is rounded: a step of its last digit is a step of the grey.
    np.testing.assert_allclose(on_screen(page), expected, atol=2.5)


def test_dragging_upwards_brightens_whatever_the_polarity(reader, study):
    images = [
        stored(study, dicom(photometric=photometric, sop_instance_uid=f"{UID}.{number}"))
        for number, photometric in enumerate(("MONOCHROME1", "MONOCHROME2"))
    ]
    page = reader.open(study)
    for image in images:
        page.locator(f'[data-show-image="{image.pk}"]').click()
        page.locator(f'[data-state="painted"][data-image="{image.pk}"]').wait_for()
        before = painted(page).mean()
        drag(page, (300, 400), (0, -120))
        assert painted(page).mean() > before + 5


def test_a_16_bit_raster_has_greys_that_8_bits_have_not(reader, study):
    """A ramp of 200 neighbouring values: as 8 bits they would be one grey, at most two."""
    ramp = np.tile(np.arange(30_000, 30_200, dtype=np.uint16), (200, 1))
    ramp[0, 0], ramp[0, 1] = 0, 65535
    file = io.BytesIO()
    Picture.fromarray(ramp).save(file, "PNG")
    stored_raster(study, file.getvalue())
    page = reader.open(study)
    page.keyboard.press("2")
    found = on_screen(page, 200, 200)[100]
    assert len(np.unique(found)) > 100
    assert (np.diff(found.astype(int)) >= 0).all()


def test_presets_are_offered_by_name_and_chosen_by_number(reader, study):
    stored(
        study,
        dicom(
            elements={
                "WindowCenter": [2048, 1000],
                "WindowWidth": [4096, 400],
                "WindowCenterWidthExplanation": ["NORMAL", "HARD"],
            }
        ),
    )
    page = reader.open(study)
    names = page.locator("[data-preset] option").all_inner_texts()
    assert names[1:4] == ["Default (NORMAL)", "HARD", "Lungs: the darker half"]
    page.get_by_label("Window", exact=True).select_option("HARD")
    settled(page)
    assert "C 1000 W 400" in readout(page)
    page.locator('[data-pane="current"]').focus()
    page.keyboard.press("1")
    settled(page)
    assert "C 2048 W 4096" in readout(page)


def test_zooming_by_wheel_keeps_what_is_under_the_pointer(page):
    on_screen(page)
    x, y = place_of(page, 60, 80)
    box = page.locator('[data-pane="current"]').bounding_box()
    under = int(painted(page)[round(y), round(x)])
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.wheel(0, -400)
    settled(page)
    assert abs(int(painted(page)[round(y), round(x)]) - under) < 30
    assert "%" in page.locator("[data-zoom-level]").inner_text()
    page.keyboard.press("f")
    settled(page)
    assert page.locator("[data-zoom-level]").inner_text() == "Fit"


def test_panning_moves_the_picture_with_the_pointer(page, content):
    on_screen(page)
    page.keyboard.press("p")
    before = painted(page)
    drag(page, (400, 300), (40, -30))
    np.testing.assert_array_equal(painted(page)[100:500, 200:700], before[130:530, 160:660])
    drag(page, (400, 300), (-40, 30), button="middle")
    np.testing.assert_array_equal(painted(page), before)


SPACINGS = {
    "at the detector": ({"ImagerPixelSpacing": [0.5, 0.5]}, "50.0 mm at the detector"),
    "pixels that are not square": ({"ImagerPixelSpacing": [0.2, 0.5]}, "50.0 mm at the detector"),
    "calibrated": ({"ImagerPixelSpacing": [0.5, 0.5], "PixelSpacing": [0.4, 0.4]}, "40.0 mm, calibrated"),
    "said twice": ({"ImagerPixelSpacing": [0.5, 0.5], "PixelSpacing": [0.5, 0.5]}, "50.0 mm at the detector"),
    "not said of what": (
        {"ImagerPixelSpacing": None, "PixelSpacing": [0.5, 0.5]},
        "50.0 mm, as the file says",
    ),
    "unknown": ({"ImagerPixelSpacing": None}, "100 px, uncalibrated"),
}


@pytest.mark.parametrize(("elements", "words"), SPACINGS.values(), ids=SPACINGS.keys())
def test_a_length_says_what_it_is_measured_in(reader, study, elements, words):
    stored(study, dicom(elements=elements))
    page = reader.open(study)
    page.keyboard.press("o")
    settled(page)
    page.keyboard.press("d")
    drag(page, place_of(page, 50, 150), (100, 0))
    expect(page.locator("text.measure-text")).to_have_text(words)
    expect(page.locator("[data-lengths]")).to_have_text(f"Length 1: {words}.")


def test_a_length_stays_on_the_image_and_its_ends_can_be_moved(page):
    page.keyboard.press("o")
    settled(page)
    page.keyboard.press("d")
    start = place_of(page, 60, 150)
    drag(page, start, (100, 0))
    words = page.locator("text.measure-text").text_content()
    for key in ("r", "h", "+"):
        page.keyboard.press(key)
    settled(page)
    assert page.locator("text.measure-text").text_content() == words
    page.keyboard.press(" ")
    page.keyboard.press("o")
    settled(page)
    drag(page, (start[0] + 100, start[1]), (100, 0))
    expect(page.locator("text.measure-text")).to_have_count(1)
    longer = float(page.locator("text.measure-text").text_content().split()[0])
    assert longer == pytest.approx(2 * float(words.split()[0]), rel=0.02)
    page.keyboard.press("Delete")
    expect(page.locator("text.measure-text")).to_have_count(0)


def test_a_length_can_be_drawn_without_a_mouse(page):
    page.keyboard.press("o")
    settled(page)
    page.locator('[data-pane="current"]').focus()
    page.keyboard.press("d")
    page.keyboard.press("Enter")
    for _ in range(10):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    spacing = 10 * 42 / ROWS  # Said by the drawn file; ten steps of six pixels.
    length = float(page.locator("text.measure-text").text_content().split()[0])
    assert length == pytest.approx(60 * spacing, rel=0.15)


def test_the_magnifying_glass_shows_the_image_larger(page, content):
    on_screen(page)
    page.keyboard.press("m")
    box = page.locator('[data-pane="current"]').bounding_box()
    x, y = place_of(page, 100, 150)
    page.mouse.move(box["x"] + x, box["y"] + y)
    expect(page.locator('[data-pane="current"] [data-lens]')).to_be_visible()
    lens = np.array(
        page.evaluate(
            """() => {
                const lens = document.querySelector("[data-lens]");
                const data = lens.getContext("2d").getImageData(0, 0, lens.width, lens.height).data;
                return [...data].filter((_, index) => index % 4 === 0);
            }"""
        )
    ).reshape(200, 200)
    # 200 pixels of the lens are 80 of the image: every fifth is the middle of an image's second pixel.
    expected = greys(content)[110:190, 60:140]
    np.testing.assert_allclose(lens[::5, ::5].mean(), expected[::2, ::2].mean(), atol=3)
    assert np.corrcoef(lens[1::5, 1::5].ravel(), expected[::2, ::2].ravel())[0, 1] > 0.98
    page.keyboard.press("Escape")
    expect(page.locator('[data-pane="current"] [data-lens]')).to_be_hidden()


def test_the_sheet_lists_the_keys_and_no_key_acts_while_somebody_types(page):
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_text("Rotate to the right")).to_be_visible()
    page.keyboard.press("i")
    expect(page.get_by_role("button", name="Invert")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    before = readout(page)
    page.locator("textarea:visible").first.fill("")
    page.locator("textarea:visible").first.press_sequentially("right hilum +-0 i?")
    settled(page)
    assert (readout(page), edges(page)) == (before, "HLFR")
    assert not sheet.is_visible()


def test_keys_can_be_switched_off(page):
    page.locator(".more-tools > summary").click()
    page.get_by_role("button", name="Keys", exact=True).click()
    page.get_by_text("Single keys act on the viewer").click()
    page.get_by_role("button", name="Close", exact=True).click()
    page.locator('[data-pane="current"]').focus()
    page.keyboard.press("i")
    expect(page.get_by_role("button", name="Invert")).to_have_attribute("aria-pressed", "false")


def test_the_keyboard_alone_reaches_every_tool_and_each_has_a_name(page):
    page.locator('[data-pane="current"]').focus()
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        told = page.evaluate(
            """() => {
                const element = document.activeElement;
                if (!element.closest("[data-viewer]")) return null;
                const outline = getComputedStyle(element).outlineStyle;
                const name = element.getAttribute("aria-label") || element.innerText || element.textContent;
                return [name.trim(), outline, element.getBoundingClientRect().height, element.getBoundingClientRect().width];
            }"""
        )
        if told is None:
            break
        reached.append(told)
    names = [name for name, *_ in reached]
    for wanted in (
        "Window and level",
        "Move",
        "Zoom",
        "Measure a distance",
        "Magnifying glass",
        "Invert",
        "Rotate to the right",
        "Flip left and right",
        "Zoom out",
        "Zoom in",
        "Fit to the window",
        "Reset",
        "Window",
        "More tools",
    ):
        assert wanted in names
    assert all(outline != "none" for _, outline, *_ in reached)
    assert all(height >= 44 and width >= 44 for *_, height, width in reached)


def test_a_file_that_does_not_say_its_sides_says_so(reader, study):
    stored(study, dicom(elements={"PatientOrientation": None}))
    page = reader.open(study)
    expect(page.get_by_text("Side unknown")).to_be_visible()
    assert edges(page) == ""


def test_several_images_of_a_study_are_shown_in_turn(reader, study):
    first = stored(study, dicom(1, sop_instance_uid=f"{UID}.1"))
    second = stored(study, dicom(2, sop_instance_uid=f"{UID}.2", rows=200, columns=220, view_position="AP"))
    page = reader.open(study)
    page.keyboard.press("ArrowDown")
    page.locator(f'[data-pane="current"][data-state="painted"][data-image="{second.pk}"]').wait_for()
    np.testing.assert_allclose(on_screen(page, 200, 220), greys(second.file.read()), atol=1.01)
    page.keyboard.press("ArrowUp")
    page.locator(f'[data-pane="current"][data-state="painted"][data-image="{first.pk}"]').wait_for()


def test_the_earlier_image_stands_beside_and_follows(reader, study, content, prior, screenshot):
    stored(study, content)
    image, _ = prior
    page = reader.open(study)
    page.get_by_label("Compare with an earlier image").select_option(str(image.pk))
    page.locator('[data-pane="earlier"][data-state="painted"]').wait_for()
    expect(page.locator('[data-pane="earlier"] [data-pane-title]')).to_contain_text("Earlier 1 Mar 2020")
    expect(page.locator('[data-pane="current"] [data-pane-title]')).to_contain_text("Current 2 Apr 2020")
    screenshot(page, "compare")
    before = painted(page, "earlier").astype(int)
    page.locator('[data-pane="current"]').focus()
    for key in ("+", "i"):
        page.keyboard.press(key)
    settled(page)
    assert "inverted" in readout(page, "earlier")
    assert abs(painted(page, "earlier").astype(int) - before).mean() > 20
    drag(page, (200, 300), (0, -100))
    page.get_by_role("button", name="Move both images together").click()
    alone = readout(page, "earlier")
    page.keyboard.press("+")
    settled(page)
    assert readout(page, "earlier") == alone
    page.keyboard.press("c")
    expect(page.locator('[data-pane="earlier"]')).to_be_hidden()


def test_a_linked_window_brightens_both_whatever_their_polarity(reader, study, content, prior):
    stored(study, content)
    page = reader.open(study)
    page.keyboard.press("c")
    page.locator('[data-pane="earlier"][data-state="painted"]').wait_for()
    before = [painted(page, which).mean() for which in ("current", "earlier")]
    drag(page, (200, 300), (0, -100))
    after = [painted(page, which).mean() for which in ("current", "earlier")]
    assert all(now > then + 5 for now, then in zip(after, before, strict=True))


def test_the_map_is_off_at_first_and_shown_by_switch_key_and_slider(reader, study, content, screenshot):
    image = stored(study, content)
    prediction = PredictionFactory(image=image, done=True, model_version=ModelVersionFactory())
    page = reader.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "heat-map" in request.url else None)
    reader.open(study)
    heat = page.locator('[data-pane="current"] [data-heat-map]')
    expect(heat).to_have_count(0)
    assert asked == []
    page.get_by_text("Show where the network looked").click()
    expect(heat).to_be_visible()
    expect(page.locator(".heat-caption")).to_have_text(
        f"Where the network looked: COVID-19, {prediction.model_version.name} {prediction.model_version.version}"
    )
    page.get_by_label("Opacity").fill("30")
    expect(heat).to_have_css("opacity", "0.3")
    page.locator('[data-pane="current"]').focus()
    page.keyboard.press("r")
    settled(page)
    box, pane = heat.bounding_box(), page.locator('[data-pane="current"]').bounding_box()
    assert box["width"] / box["height"] == pytest.approx(ROWS / COLUMNS, rel=0.02)
    assert box["x"] + box["width"] / 2 == pytest.approx(pane["x"] + pane["width"] / 2, abs=2)
    screenshot(page, "heat-map")
    page.get_by_text("Show where the network looked").click()
    expect(heat).to_have_count(0)
    page.locator('[data-pane="current"]').focus()
    page.keyboard.down("a")
    expect(heat).to_be_visible()
    page.keyboard.up("a")
    expect(heat).to_have_count(0)


def test_without_a_script_the_preview_is_there(reader_of, radiologist, study, content):
    stored(study, content)
    reader = reader_of(radiologist, java_script_enabled=False)
    reader.page.goto(f"{reader.server_url}/studies/{study.pk}/")
    expect(reader.page.get_by_alt_text("Chest X-ray, Image 1, PA")).to_be_visible()
    expect(reader.page.locator("[data-tools]")).to_be_hidden()
    assert reader.page.locator('[data-edge="left"]').first.inner_text() == "R"
