"""Programs of the machine that some tests need: found, or the test says how to install them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

# Program, and the Debian package that holds it.
PACKAGES = {
    "chromium": "chromium",
    "initdb": "postgresql",
    "postgres": "postgresql",
    "redis-server": "redis-server",
    "nginx": "nginx",
    "storescu": "dcmtk",
    "dcmdump": "dcmtk",
    "echoscu": "dcmtk",
    "findscu": "dcmtk",
    "Orthanc": "orthanc",
    "/usr/share/orthanc/plugins/libOrthancDicomWeb.so": "orthanc-dicomweb",
    "openssl": "openssl",
    "msgfmt": "gettext",
    "msgmerge": "gettext",
}


def find(program: str) -> str | None:
    """The path of ``program``. Debian keeps PostgreSQL's and nginx outside the PATH of a plain user."""
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True
    )
    places = [os.environ.get("PATH", ""), "/usr/sbin", *map(str, versions)]
    return shutil.which(program, path=os.pathsep.join(places))


def require(program: str) -> str:
    """The path of ``program``; without it the test is skipped, or fails where REQUIRE_SERVICES=1 says that it must be there."""
    return find(program) or missing(program)


def missing(program: str) -> NoReturn:
    sentence = f"{program} is not installed; on Debian: apt-get install {PACKAGES[program]}"
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)
