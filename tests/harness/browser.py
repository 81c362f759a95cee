"""Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

from tests.harness.binaries import require

# Nothing that talks to the network or waits for a screen: the suite passes without either.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def start_chromium() -> Iterator[Browser]:
    program = require("chromium")
    # Playwright keeps an event loop in this thread, and Django would refuse its database to every test that runs after.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()
