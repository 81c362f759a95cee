"""The study page in a real browser over this test's own records, and what its viewer paints."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connections
from django.test import Client
from django.test.testcases import LiveServerThread
from PIL import Image as Picture
from playwright.sync_api import Browser, BrowserContext, Page

from diagnosis.models import Image, Study, User
from ml.imaging import load_image, render_jpeg
from ml.phantom import phantom_dicom
from tests.dicomweb.conftest import stored
from tests.factories import ImageFactory, PatientFactory, StudyFactory
from tests.harness.binaries import require
from tests.harness.browser import ARGUMENTS

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "var" / "e2e"
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 360, "height": 740}


@pytest.fixture
def patient(site):
    return PatientFactory(site=site, mrn="MRN-1", person_name="Example^Ana", sex="F", birth_date="1960-05-01")


@pytest.fixture
def study(patient, radiologist) -> Study:
    return StudyFactory(
        patient=patient,
        submitted_by=radiologist,
        study_instance_uid="1.2.826.0.1.3680043.10.2.1",
        performed_at="2020-04-02T08:15:00Z",
        status="to_read",
    )


@pytest.fixture
def prior(patient, radiologist):
    uid = "1.2.826.0.1.3680043.10.2.9"
    earlier = StudyFactory(
        patient=patient, submitted_by=radiologist, study_instance_uid=uid, performed_at="2020-03-01T08:15:00Z"
    )
    content = phantom_dicom(
        12, rows=260, columns=300, study_instance_uid=uid, photometric="MONOCHROME1", bits_stored=14
    )
    return stored(earlier, content), content


def stored_raster(study: Study, content: bytes, kind: str = "png") -> Image:
    """A PNG or JPEG as an image of ``study``."""
    image = load_image(content)
    sha256 = hashlib.sha256(content).hexdigest()
    picture = default_storage.save(f"previews/{sha256}.jpg", ContentFile(render_jpeg(image.pixels)))
    return ImageFactory(
        study=study,
        kind=kind,
        sha256=sha256,
        size=len(content),
        rows=image.rows,
        columns=image.columns,
        number_of_frames=1,
        file=default_storage.save(f"originals/{sha256}", ContentFile(content)),
        preview=picture,
        thumbnail=picture,
    )


class Reader:
    """Somebody at a browser who looks at studies."""

    def __init__(self, page: Page, server_url: str) -> None:
        self.page = page
        self.server_url = server_url

    def open(self, study: Study, query: str = "") -> Page:
        self.page.goto(f"{self.server_url}/studies/{study.pk}/{query}")
        self.page.locator('[data-pane="current"][data-state="painted"]').wait_for(timeout=20_000)
        # What else comes by itself may move the viewer on the page.
        self.page.wait_for_load_state("networkidle")
        return self.page


class OneAtATime:
    """All requests share the test's one connection: the savepoints of two at once would mix."""

    def __init__(self, handler: Callable[..., Any]) -> None:
        self.handler = handler
        self.lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        with self.lock:
            return self.handler(environ, start_response)


@pytest.fixture
def server(db, settings) -> Iterator[str]:
    """The address of a real web server over this test's own records, with the built scripts, under all of the middleware."""
    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = True
    connection = connections["default"]
    connection.inc_thread_sharing()
    thread = LiveServerThread("127.0.0.1", OneAtATime, connections_override={"default": connection})
    thread.daemon = True
    thread.start()
    thread.is_ready.wait()
    assert thread.error is None
    yield f"http://127.0.0.1:{thread.port}"
    thread.terminate()
    for answering in threading.enumerate():
        if "process_request_thread" in answering.name:
            answering.join(10)  # It closes its connection, which is this test's.
    connection.dec_thread_sharing()


@pytest.fixture(scope="session")
def graphics_browser(browser: Browser) -> Iterator[Browser]:
    """A browser with WebGL: the processor plays the graphics card."""
    arguments = [argument for argument in ARGUMENTS if argument != "--disable-gpu"]
    graphics = browser.browser_type.launch(
        executable_path=require("chromium"),
        args=[*arguments, "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"],
    )
    yield graphics
    graphics.close()


@pytest.fixture
def reader_of(browser: Browser, server: str) -> Iterator[Callable[..., Reader]]:
    """Opens a browser profile of its own for a person; it fails on any script error."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def make(
        user: User, *, phone: bool = False, dark: bool = False, in_browser: Browser | None = None, **options
    ) -> Reader:
        context = (in_browser or browser).new_context(
            viewport=PHONE if phone else DESKTOP,
            has_touch=phone,
            is_mobile=phone,
            color_scheme="dark" if dark else "light",
            **options,
        )
        contexts.append(context)
        client = Client()
        client.force_login(user)
        context.add_cookies(
            [{"name": name, "value": cookie.value, "url": server} for name, cookie in client.cookies.items()]
        )
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda message: problems.append(message.text) if message.type == "error" else None,
        )
        return Reader(page, server)

    yield make
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def reader(reader_of, radiologist) -> Reader:
    return reader_of(radiologist)


@pytest.fixture
def screenshot() -> Callable[..., None]:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str, *, full_page: bool = False) -> None:
        page.screenshot(path=SCREENSHOTS / f"viewer-{name}.png", full_page=full_page, caret="initial")

    return take


def pixels_of(page: Page, selector: str) -> np.ndarray:
    """What a canvas holds, grey, uint8 (rows, columns)."""
    data = page.evaluate(
        'selector => document.querySelector(selector).toDataURL("image/png").split(",")[1]', selector
    )
    return np.asarray(Picture.open(io.BytesIO(base64.b64decode(data))).convert("L"))


def painted(page: Page, which: str = "current") -> np.ndarray:
    """What is drawn in a pane."""
    return pixels_of(page, f'[data-pane="{which}"] canvas.cornerstone-canvas')


def settled(page: Page) -> None:
    """After the pictures that the browser has begun."""
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
    )


__all__ = ["Reader", "painted", "pixels_of", "settled", "stored", "stored_raster"]
