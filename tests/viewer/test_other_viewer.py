"""Cornerstone's own DICOMweb loader, in a page of another origin, opens a study of the portal."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Error, Page
from pydicom import uid
from rest_framework.test import APIClient

from diagnosis.services.tokens import token_issue
from ml.imaging import load_image
from tests.viewer.conftest import ROOT, pixels_of, stored
from tests.viewer.test_pixels import dicom

pytestmark = [pytest.mark.e2e]

FRONTEND = ROOT / "frontend"


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """The other viewer, built from frontend/other-viewer by the front end's own tools."""
    out = tmp_path_factory.mktemp("other-viewer")
    bin_dir = Path(sys.executable).parent
    subprocess.run(
        [bin_dir / "npx", "vite", "build", "--config", "other-viewer/vite.config.ts", "--outDir", out],
        cwd=FRONTEND,
        env={**os.environ, "PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}"},
        check=True,
        capture_output=True,
    )
    return out


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def other_origin(built: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(built))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{other.server_port}"
        other.shutdown()


@pytest.fixture
def foreign_page(browser: Browser, other_origin: str) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{other_origin}/index.html")
    page.wait_for_function("() => window.openStudy")
    yield page
    context.close()


def open_study(page: Page, server: str, user) -> dict[str, int]:
    return page.evaluate(
        "([root, token, accession]) => window.openStudy(root, token, accession)",
        [f"{server}/dicom-web", token_issue(user=user).secret, "ACC-7"],
    )


@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRLittleEndian, uid.JPEG2000Lossless, uid.JPEGLSLossless], ids=lambda s: s.name
)
def test_a_study_is_searched_described_and_painted(
    foreign_page, server, study, radiologist, settings, other_origin, syntax
):
    settings.CORS_ALLOWED_ORIGINS = [other_origin]
    type(study).objects.filter(pk=study.pk).update(accession_number="ACC-7")
    content = dicom(transfer_syntax=syntax)
    stored(study, content)
    assert open_study(foreign_page, server, radiologist) == {
        "studies": 1,
        "series": 1,
        "instances": 1,
        "rows": 300,
    }
    shown = pixels_of(foreign_page, "#pane canvas")
    expected = load_image(content).pixels * 255
    # Fitted to its pane, so not pixel for pixel: bright is bright where bright should be.
    rows, columns = np.nonzero(shown > 0)
    picture = shown[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    at = np.linspace(0.1, 0.9, 40)
    found = picture[np.ix_((at * picture.shape[0]).astype(int), (at * picture.shape[1]).astype(int))]
    wanted = expected[np.ix_((at * 300).astype(int), (at * 260).astype(int))]
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.97


def test_an_origin_that_is_not_named_gets_nothing(foreign_page, server, study, radiologist):
    stored(study, dicom())
    with pytest.raises(Error):
        open_study(foreign_page, server, radiologist)


@pytest.mark.parametrize(
    ("path", "origin", "allowed"),
    [
        ("/dicom-web/studies", "https://viewer.example", "https://viewer.example"),
        ("/dicom-web/studies", "https://elsewhere.example", None),
        ("/dicom-web/studies", None, None),
        # The pages and the API are nobody else's.
        ("/api/v1/studies/", "https://viewer.example", None),
        ("/", "https://viewer.example", None),
    ],
)
@pytest.mark.django_db
def test_only_named_origins_are_told_that_they_may_ask_dicomweb(settings, path, origin, allowed):
    settings.CORS_ALLOWED_ORIGINS = ["https://viewer.example"]
    headers = {"HTTP_ORIGIN": origin} if origin else {}
    for response in (
        APIClient().get(path, **headers),
        APIClient().options(path, HTTP_ACCESS_CONTROL_REQUEST_METHOD="GET", **headers),
    ):
        assert response.headers.get("Access-Control-Allow-Origin") == allowed
        # With a cookie, any page of that origin could act for whoever is logged in here.
        assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.django_db
def test_no_origin_is_named_unless_somebody_names_it():
    response = APIClient().get("/dicom-web/studies", HTTP_ORIGIN="https://viewer.example")
    assert "Access-Control-Allow-Origin" not in response.headers
