"""Hundreds of files over a connection that breaks, from a desk and from a phone."""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Dialog, Page, Request, Route, expect
from pydicom import dcmread

from ml.phantom import phantom_dicom, phantom_png
from tests.e2e.test_main_job import drop, has_no_sideways_scrolling

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("embedded")]

SMALL = {"rows": 64, "columns": 60}
MANY = 200
EXAMINED_MS = 240_000
PIECE = 4 * 2**20


@functools.cache
def chest() -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(phantom_png(1, **SMALL))))


@pytest.fixture
def doctor(log_in) -> Iterator[Page]:
    page = log_in("doctor")
    yield page
    discard_all(page)


def discard_all(page: Page) -> None:
    """Leave no file waiting for the tests that share this portal."""
    page.goto(urljoin(page.url, "/uploads/confirm/"))
    page.evaluate(
        """async () => {
            const data = new FormData();
            for (const input of document.querySelectorAll("input[name=file], .discard input[name=csrfmiddlewaretoken]")) {
                data.append(input.name, input.value);
            }
            if (data.has("file")) await fetch("/uploads/discard/", { method: "POST", body: data });
        }"""
    )


def picture(number: int) -> bytes:
    """One of thousands of different pictures, quickly drawn."""
    encoded = io.BytesIO()
    Image.fromarray(np.roll(chest(), divmod(number, 60), axis=(0, 1))).save(encoded, "PNG")
    return encoded.getvalue()


def large_file(seed: int) -> bytes:
    """A DICOM file of two pieces and a half, most of it padding (PS3.10 7.2)."""
    ds = dcmread(io.BytesIO(phantom_dicom(seed, **SMALL, patient_id=f"LARGE-{seed}")))
    ds.add_new("DataSetTrailingPadding", "OB", np.random.default_rng(seed).bytes(5 * PIECE // 2))
    content = io.BytesIO()
    ds.save_as(content)
    return content.getvalue()


def file(name: str, content: bytes) -> dict[str, object]:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def choose(page: Page, *files: dict[str, object]) -> None:
    page.set_input_files("#upload-files", list(files))


def row(page: Page, name: str):
    return page.locator("[data-upload-rows] > .upload-row").filter(has_text=name)


def totals(page: Page):
    return page.locator("[data-upload-totals]")


def warns_before_leaving(page: Page) -> bool:
    """Whether the page would ask: what its listeners say to a `beforeunload` that nobody else sees."""
    return page.evaluate(
        "!window.dispatchEvent(new Event('beforeunload', {cancelable: true}))",
    )


def requests_for_parts(page: Page) -> list[tuple[str, str]]:
    """The method and the Upload-Offset of each request of the protocol from now on."""
    sent: list[tuple[str, str]] = []

    def note(request: Request) -> None:
        if "/uploads/parts/" in request.url:
            sent.append((request.method, request.headers.get("upload-offset", "")))

    page.on("request", note)
    return sent


def cut_at(page: Page, offset: int, *, times: int) -> list[str]:
    """Break the connection of each request that brings the bytes from ``offset`` on; gives what was cut."""
    cut: list[str] = []

    def handle(route: Route) -> None:
        if route.request.headers.get("upload-offset") == str(offset) and len(cut) < times:
            cut.append(route.request.url)
            route.abort("connectionreset")
        else:
            route.fallback()

    page.route("**/uploads/parts/**", handle)
    return cut


def test_two_hundred_files_with_one_of_each_kind(doctor, screenshot):
    choose(doctor, file("known.png", picture(10_000)))
    expect(row(doctor, "known.png")).to_contain_text("Waiting for your confirmation", timeout=EXAMINED_MS)
    doctor.reload()

    most_at_once = doctor.evaluate_handle(
        """() => {
            const seen = { now: 0, most: 0 };
            const { open, send } = XMLHttpRequest.prototype;
            XMLHttpRequest.prototype.open = function (method, url, ...args) {
                this.isUpload = url.includes("/uploads/parts/");
                return open.call(this, method, url, ...args);
            };
            XMLHttpRequest.prototype.send = function (...args) {
                if (!this.isUpload) return send.apply(this, args);
                seen.most = Math.max(seen.most, ++seen.now);
                this.addEventListener("loadend", () => --seen.now);
                return send.apply(this, args);
            };
            return seen;
        }"""
    )
    good = [file(f"chest-{number:03}.png", picture(10_001 + number)) for number in range(MANY - 3)]
    letter = file("letter.dcm", b"Dear colleague")
    choose(doctor, letter, file("again.png", picture(10_000)), file("copy.png", picture(10_001)), *good)
    assert warns_before_leaving(doctor)
    expect(totals(doctor)).to_contain_text(f"of {MANY} files done")
    screenshot(doctor, "80-many-files-on-their-way")
    expect(totals(doctor)).to_contain_text(f"{MANY} of {MANY} files done", timeout=EXAMINED_MS)
    expect(totals(doctor)).to_contain_text("1 refused")
    expect(totals(doctor)).to_contain_text(f"{MANY - 1} wait for your confirmation")
    expect(row(doctor, "letter.dcm")).to_contain_text("Refused")
    expect(row(doctor, "again.png")).to_contain_text("waiting for your confirmation already")
    assert most_at_once.evaluate("seen => seen.most") == 3
    assert not warns_before_leaving(doctor)
    # What is refused is not offered to be sent again: that would change nothing.
    expect(doctor.locator("[data-upload-retry-all]")).to_be_hidden()
    expect(doctor.locator("[data-upload-status]")).to_contain_text("1 refused")

    doctor.get_by_role("button", name="Only what needs attention").click()
    expect(doctor.locator("[data-upload-rows] > .upload-row:visible")).to_have_count(1)
    screenshot(doctor, "81-many-files-done")
    assert has_no_sideways_scrolling(doctor)


def test_a_broken_connection_costs_one_part_and_not_the_file(doctor):
    sent = requests_for_parts(doctor)
    cut = cut_at(doctor, PIECE, times=1)
    choose(doctor, file("large.dcm", large_file(81)))
    expect(row(doctor, "large.dcm")).to_contain_text("Waiting for your confirmation", timeout=EXAMINED_MS)
    assert len(cut) == 1
    # Once from the beginning; after the break it asks how far it was and goes on from there.
    broken = ("PATCH", str(PIECE))
    assert sent == [("POST", ""), broken, ("HEAD", ""), broken, ("PATCH", str(2 * PIECE))]


def test_only_what_failed_is_sent_again(doctor, screenshot):
    # Every try: the page gives up by itself.
    doctor.clock.install()
    cut = cut_at(doctor, PIECE, times=100)
    choose(
        doctor,
        file("breaks.dcm", large_file(82)),
        file("letter.txt", b"Dear colleague"),
        file("fine.png", picture(82)),
    )
    expect(row(doctor, "fine.png")).to_contain_text("Waiting for your confirmation", timeout=EXAMINED_MS)
    for _ in range(12):
        doctor.clock.run_for(16_000)
        doctor.wait_for_timeout(300)
    expect(row(doctor, "breaks.dcm")).to_contain_text("Not sent", timeout=EXAMINED_MS)
    expect(row(doctor, "breaks.dcm")).to_contain_text("The portal does not answer")
    expect(totals(doctor)).to_contain_text("1 not sent")
    assert len(cut) > 3
    screenshot(doctor, "82-one-not-sent")
    assert not warns_before_leaving(doctor)

    doctor.unroute("**/uploads/parts/**")
    sent = requests_for_parts(doctor)
    doctor.clock.resume()
    doctor.get_by_role("button", name="Try again those not sent (1)").click()
    expect(row(doctor, "breaks.dcm")).to_contain_text("Waiting for your confirmation", timeout=EXAMINED_MS)
    expect(totals(doctor)).to_contain_text("3 of 3 files done · 2 wait for your confirmation · 1 refused")
    # Its first part was there already, and no other file was sent.
    assert sent == [("HEAD", ""), ("PATCH", str(PIECE)), ("PATCH", str(2 * PIECE))]


def test_after_a_reload_the_same_file_goes_on(doctor, screenshot):
    content = large_file(83)
    cut_at(doctor, PIECE, times=100)
    choose(doctor, file("large.dcm", content))
    expect(row(doctor, "large.dcm")).to_contain_text("Sending", timeout=EXAMINED_MS)
    with doctor.expect_response(lambda response: response.request.method == "HEAD"):
        pass
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    doctor.on("dialog", leave)
    # Browsers ask only where somebody has touched the page.
    doctor.get_by_role("heading", name="Drop chest X-rays here").click()
    doctor.reload()
    assert asked == ["beforeunload"]
    doctor.unroute("**/uploads/parts/**")

    interrupted = doctor.get_by_role("list", name="Interrupted uploads")
    expect(interrupted).to_contain_text("large.dcm")
    expect(interrupted).to_contain_text("% of")
    screenshot(doctor, "83-interrupted")
    sent = requests_for_parts(doctor)
    # Of the same name and size, and another patient's.
    other = bytearray(content)
    other[-1000:] = bytes(1000)
    choose(doctor, file("large.dcm", bytes(other)))
    expect(row(doctor, "large.dcm")).to_contain_text("Waiting for your confirmation", timeout=EXAMINED_MS)
    assert sent == [("POST", ""), ("PATCH", str(PIECE)), ("PATCH", str(2 * PIECE))]
    expect(interrupted).to_contain_text("large.dcm")
    sent.clear()
    choose(doctor, file("renamed.dcm", content))
    expect(row(doctor, "renamed.dcm")).to_contain_text("Waiting for your confirmation", timeout=EXAMINED_MS)
    assert sent == [("HEAD", ""), ("PATCH", str(PIECE)), ("PATCH", str(2 * PIECE))]
    expect(doctor.get_by_text("Interrupted uploads")).to_be_hidden()


def test_a_folder_and_an_archive(doctor, screenshot, tmp_path: Path):
    series = tmp_path / "CD" / "SERIES1"
    series.mkdir(parents=True)
    (series / "IM000001").write_bytes(phantom_dicom(841, **SMALL, patient_id="CD-1"))
    (series / "IM000002").write_bytes(phantom_dicom(842, **SMALL, patient_id="CD-1"))
    (tmp_path / "CD" / ".DS_Store").write_bytes(b"x")
    doctor.set_input_files("#upload-folder", tmp_path / "CD")
    expect(row(doctor, "CD/SERIES1/IM000001")).to_be_visible()
    expect(totals(doctor)).to_contain_text(
        "2 of 2 files done · 2 wait for your confirmation", timeout=EXAMINED_MS
    )
    expect(doctor.get_by_text("1 file of the operating system")).to_be_visible()

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("A/IM1", phantom_dicom(843, **SMALL, patient_id="CD-1"))
        archive.writestr("B/IM1", phantom_dicom(844, **SMALL, patient_id="CD-1"))
        archive.writestr("known", phantom_dicom(841, **SMALL, patient_id="CD-1"))
        archive.writestr("letter.txt", b"Dear colleague")
    choose(doctor, file("night.zip", packed.getvalue()))
    expect(row(doctor, "night.zip")).to_contain_text("1 refused", timeout=EXAMINED_MS)
    expect(row(doctor, "night.zip")).to_contain_text("3 waiting for your confirmation")
    row(doctor, "night.zip").locator("summary").click()
    expect(doctor.get_by_text("B/IM1")).to_be_visible()
    screenshot(doctor, "84-archive")


def test_a_phone_sends_what_its_camera_took(log_in, screenshot):
    doctor = log_in("doctor", phone=True)
    expect(doctor.get_by_text("Choose a folder")).to_be_hidden()
    choose(doctor, *(file(f"IMG_00{number}.png", picture(850 + number)) for number in range(12)))
    expect(totals(doctor)).to_contain_text("12 of 12 files done", timeout=EXAMINED_MS)
    choose(doctor, file("voice-memo-with-a-very-long-name-that-somebody-dictated.m4a", b"\0" * 100))
    expect(row(doctor, "voice-memo")).to_contain_text("Refused", timeout=EXAMINED_MS)
    assert has_no_sideways_scrolling(doctor)
    screenshot(doctor, "85-phone-files", full_page=True)
    too_small = doctor.evaluate(
        """() => [...document.querySelectorAll(".upload button, .upload label.button, .upload summary")]
            .filter((element) => element.checkVisibility() && element.getBoundingClientRect().height < 44)
            .map((element) => element.textContent.trim())"""
    )
    assert too_small == []
    discard_all(doctor)


def test_a_dropped_folder_is_sent_with_all_that_is_in_it(doctor):
    """Chromium makes no directory entries for a script's drop, so a made-up one stands in for the one of the system."""
    doctor.evaluate(
        """([bytes]) => {
            const fileEntry = (name) => ({
                isDirectory: false,
                file: (take) => take(new File([new Uint8Array(bytes)], name)),
            });
            const folder = (...children) => ({
                isDirectory: true,
                createReader: () => ({ readEntries: (take) => take(children.splice(0, 1)) }),
            });
            const entry = folder(fileEntry("one.png"), folder(fileEntry("two.png"), fileEntry("Thumbs.db")));
            const item = { kind: "file", webkitGetAsEntry: () => entry, getAsFile: () => null };
            const dropped = new Event("drop", { bubbles: true, cancelable: true });
            Object.defineProperty(dropped, "dataTransfer", { value: { items: [item] } });
            document.querySelector("[data-drop-zone]").dispatchEvent(dropped);
        }""",
        [list(picture(861))],
    )
    expect(row(doctor, "one.png")).to_contain_text("confirmation", timeout=EXAMINED_MS)
    expect(row(doctor, "two.png")).to_contain_text("confirmation", timeout=EXAMINED_MS)
    expect(row(doctor, "Thumbs.db")).to_have_count(0)


def test_a_session_that_ended_says_so_and_nothing_more_is_tried(log_in):
    doctor = log_in("doctor")
    doctor.context.clear_cookies(name="cxr_sid")
    choose(doctor, *(file(f"late-{number}.png", picture(870 + number)) for number in range(6)))
    expect(totals(doctor)).to_contain_text("6 not sent", timeout=EXAMINED_MS)
    expect(row(doctor, "late-5.png")).to_contain_text("load this page again", ignore_case=True)


def test_one_dropped_file_is_sent_at_once(doctor):
    drop(doctor, "dropped.png", picture(880))
    expect(row(doctor, "dropped.png")).to_contain_text("Waiting for your confirmation", timeout=EXAMINED_MS)
    # What was read: a person hears the totals, not each of hundreds of files.
    expect(doctor.locator("[data-upload-status]")).to_have_text(
        "1 of 1 file done, 1 waits for your confirmation."
    )
