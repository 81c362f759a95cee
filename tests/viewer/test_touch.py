"""The viewer under fingers, on the screen of a phone."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.viewer.conftest import painted, settled, stored
from tests.viewer.test_pixels import dicom
from tests.viewer.test_tools import readout

pytestmark = [pytest.mark.e2e]


FINGER_SECONDS = 0.03
"""Between two places of a finger, as its events tell it."""


class Fingers:
    """Real touch events, as the browser gets them from a screen."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.session: CDPSession = page.context.new_cdp_session(page)

    @property
    def middle(self) -> tuple[float, float]:
        box = self.page.locator('[data-pane="current"]').bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def move(self, *fingers: tuple[tuple[float, float], tuple[float, float]], steps: int = 8) -> None:
        """Each finger from one place to another, both seen from the middle of the pane."""
        middle = self.middle
        # At the end the fingers rest: a finger that leaves in a hurry throws, and the next tap would only catch that.
        places = [*range(steps + 1), *[steps] * 4]
        began = time.time() - len(places) * FINGER_SECONDS
        for turn, step in enumerate(places):
            points = [
                {
                    "x": middle[0] + start[0] + (end[0] - start[0]) * step / steps,
                    "y": middle[1] + start[1] + (end[1] - start[1]) * step / steps,
                    "id": number,
                }
                for number, (start, end) in enumerate(fingers)
            ]
            self._send("touchStart" if step == 0 else "touchMove", points, began + turn * FINGER_SECONDS)
        self._send("touchEnd", [], time.time())
        settled(self.page)

    def tap(self, times: int = 1) -> None:
        x, y = self.middle
        for _ in range(times):
            self._send("touchStart", [{"x": x, "y": y}], time.time())
            self._send("touchEnd", [], time.time())
        settled(self.page)

    def _send(self, kind: str, points: list[dict[str, float]], at: float) -> None:
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points, "timestamp": at})


@pytest.fixture
def phone(reader_of, radiologist, study) -> Page:
    stored(study, dicom())
    return reader_of(radiologist, phone=True).open(study)


def zoom(page: Page) -> int:
    return int(re.search(r"(\d+) %", readout(page))[1])


def window(page: Page) -> tuple[float, float]:
    found = re.search(r"C (\S+) W (\S+)", readout(page))
    return float(found[1]), float(found[2])


def test_two_fingers_apart_zoom_and_two_taps_fit(phone):
    fingers, before, center = Fingers(phone), zoom(phone), window(phone)
    fingers.move(((-30, 0), (-90, 0)), ((30, 0), (90, 0)))
    assert zoom(phone) == pytest.approx(3 * before, rel=0.1)
    assert window(phone) == center
    fingers.tap(2)
    assert zoom(phone) == before


def test_two_fingers_side_by_side_change_the_window(phone):
    fingers, before, size = Fingers(phone), painted(phone).mean(), zoom(phone)
    fingers.move(((-30, 60), (-30, -60)), ((30, 60), (30, -60)))
    assert painted(phone).mean() > before + 5
    fingers.move(((-60, 0), (60, 0)), ((-20, 0), (100, 0)))
    assert window(phone)[1] > 4096
    assert zoom(phone) == size


def test_one_finger_moves_a_zoomed_image_and_scrolls_the_page_over_a_whole_one(phone):
    fingers = Fingers(phone)
    whole = painted(phone)
    fingers.move(((0, 100), (0, -100)))
    phone.wait_for_function("() => scrollY > 50")
    assert (painted(phone) == whole).all()
    phone.evaluate("() => new Promise((done) => { onscrollend = done; scrollTo(0, 0); })")
    fingers.move(((-30, 0), (-90, 0)), ((30, 0), (90, 0)))
    before = painted(phone)
    fingers.move(((0, 40), (0, -40)))
    assert phone.evaluate("scrollY") == 0
    assert (painted(phone) != before).mean() > 0.3


def test_every_tool_works_by_touch(phone):
    fingers = Fingers(phone)
    phone.get_by_role("button", name="Measure a distance").tap()
    fingers.move(((-60, 0), (60, 0)))
    expect(phone.locator("text.measure-text")).to_contain_text("mm at the detector")
    phone.locator(".more-tools > summary").tap()
    phone.get_by_role("button", name="Remove the lengths").tap()
    expect(phone.locator("text.measure-text")).to_have_count(0)
    phone.get_by_role("button", name="Window and level").tap()
    fingers.move(((0, 0), (100, 0)))
    assert window(phone)[1] > 5000
    phone.get_by_role("button", name="Zoom", exact=True).tap()
    fingers.move(((0, 60), (0, -60)))
    assert zoom(phone) > 150
    phone.get_by_role("button", name="Reset").tap()
    settled(phone)
    assert window(phone) == (2048, 4096)
    phone.get_by_role("button", name="Rotate to the right").tap()
    expect(phone.locator('[data-pane="current"] [data-edge="top"]')).to_have_text("R")


def test_the_phone_shows_all_of_it_without_sideways_scrolling(
    reader_of,
    radiologist,
    study,
    prior,
    screenshot,
):
    stored(study, dicom())
    for dark in (True, False):
        page = reader_of(radiologist, phone=True, dark=dark).open(study)
        screenshot(page, f"phone-{'dark' if dark else 'light'}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        small = page.evaluate(
            """() => [...document.querySelectorAll("[data-viewer] :is(button, select, summary, a)")]
                .filter((element) => element.checkVisibility())
                .map((element) => [element.textContent.trim(), element.getBoundingClientRect()])
                .filter(([, box]) => box.width < 44 || box.height < 44)
                .map(([name]) => name)"""
        )
        assert small == []
        page.get_by_label("Compare with an earlier image").select_option(index=1)
        page.locator('[data-pane="earlier"][data-state="painted"]').wait_for()
        page.locator(".more-tools > summary").tap()
        screenshot(page, f"phone-compare-{'dark' if dark else 'light'}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("button", name="Keys", exact=True).tap()
        screenshot(page, f"phone-keys-{'dark' if dark else 'light'}")
