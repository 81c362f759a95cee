"""Fixtures that start real services from the machine's own programs, each at most once in a process and only when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.harness.browser import start_chromium
from tests.harness.orthanc import Orthanc, start_orthanc
from tests.harness.portal import PortalProcess, ProductionPortal, start_portal, start_production
from tests.harness.servers import postgres_database, postgres_server, redis_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server of this run, ``postgres://.../postgres``."""
    with postgres_server() as address:
        yield address


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """The address of a Redis of this run, ``redis://.../0``."""
    with redis_server() as address:
        yield address


@pytest.fixture(scope="session")
def orthanc_server() -> Iterator[Orthanc]:
    with start_orthanc() as orthanc:
        yield orthanc


@pytest.fixture
def orthanc(orthanc_server: Orthanc) -> Orthanc:
    """An archive without any study."""
    orthanc_server.clear()
    return orthanc_server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with start_chromium() as chromium:
        yield chromium


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser profile of its own: no cookie of another test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture(scope="session")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalProcess]:
    """The embedded mode with the demo's patients, as ``make run`` starts it; shared by the tests of this process.

    Its hospital shows the second opinion at once; ``tests/e2e/test_reading.py`` is about those that read first.
    """
    with start_portal(tmp_path_factory.mktemp("portal")) as process:
        process.manage(
            "shell",
            "--no-imports",
            "--command",
            "from diagnosis.models import Site; Site.objects.update(reading_protocol='concurrent')",
        )
        yield process


@pytest.fixture(scope="session")
def production(
    postgres: str, redis: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProductionPortal]:
    """The production processes on PostgreSQL and Redis, behind nginx; shared by the tests of this process."""
    folder: Path = tmp_path_factory.mktemp("production")
    with (
        postgres_database(postgres, "production") as database_url,
        start_production(folder, database_url=database_url, redis_url=redis) as processes,
    ):
        yield processes
