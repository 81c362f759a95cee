"""People at their browsers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from playwright.sync_api import Browser, BrowserContext, Page
from pydicom.uid import JPEG2000Lossless

from diagnosis.models import append_only
from ml.phantom import phantom_dicom
from tests.harness.portal import PortalProcess, until

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "var" / "e2e"
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 360, "height": 740}
NEMA_FILE = Path(os.environ.get("CXR_DATA", ROOT.parent / "shared" / "data")) / "dicom" / "RG1_J2KI.dcm"


@pytest.fixture(scope="session")
def chest_dicom() -> bytes:
    """The NEMA sample (MONOCHROME1, 15 bits, JPEG 2000) where there is one, and else a drawn file of that kind."""
    if NEMA_FILE.exists():
        return NEMA_FILE.read_bytes()
    return phantom_dicom(
        71, photometric="MONOCHROME1", bits_stored=16, transfer_syntax=JPEG2000Lossless, patient_id="RG1"
    )


@pytest.fixture
def screenshot() -> Callable[..., None]:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str, *, full_page: bool = False) -> None:
        # To hide the caret Playwright would add a style, which the pages' security policy refuses.
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=full_page, caret="initial")

    return take


@pytest.fixture
def log_in(browser: Browser, portal: PortalProcess) -> Iterator[Callable[..., Page]]:
    """Opens a browser profile of its own for a person of the demo hospital; it fails on any script error."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def person(username: str, *, phone: bool = False, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport=PHONE if phone else DESKTOP,
            has_touch=phone,
            is_mobile=phone,
            color_scheme="dark" if dark else "light",
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
        page.on(
            "console",
            lambda message: (
                problems.append(f"{page.url}: {message.text}")
                if "Content Security Policy" in message.text
                else None
            ),
        )
        page.goto(f"{portal.url}/accounts/login/")
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(portal.accounts[username])
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Worklist").wait_for()
        page.wait_for_load_state("networkidle")
        return page

    yield person
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def emptied_afterwards(transactional_db: None) -> Iterator[None]:
    """The guards would refuse to empty the tables; they come back when the emptied database is set up again."""
    yield
    until(_nothing_is_answered, "the server has answered what the closed pages last asked for")
    until(_guards_are_gone, "the tables may be emptied")


def _nothing_is_answered() -> bool:
    """Whether no thread of the live server serves a connection: a browser that is closed leaves the last answer to be made."""
    return not any("process_request_thread" in thread.name for thread in threading.enumerate())


def _guards_are_gone() -> bool:
    try:
        append_only.uninstall(connection)
    except OperationalError:  # A page that is closed while it asks leaves the answer to be read to its end.
        return False
    return True
