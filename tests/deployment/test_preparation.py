"""``make run`` on a machine that is not ready says in one sentence what is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cxr_portal.env import BASE_DIR
from tests.harness.processes import free_port

CHECKOUT = (
    "Makefile",
    "requirements.txt",
    "requirements-dev.txt",
    "scripts/prepare.py",
    "frontend/package.json",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a fresh clone has, as far as the preparation reads it."""
    for name in CHECKOUT:
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(BASE_DIR / name, target)
    return tmp_path


def _make(checkout: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "run", *arguments],
        cwd=checkout,
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )


def _said(result: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines without make's own."""
    lines = (result.stdout + result.stderr).splitlines()
    return [line for line in lines if line and not line.startswith("make")]


def _python(folder: Path, prelude: str) -> str:
    """A Python that first runs ``prelude``, standing in for one that this machine does not have."""
    program = folder / "python-of-the-machine"
    program.write_text(
        f"#!{sys.executable}\nimport runpy, sys\nsys.argv.pop(0)\n{prelude}\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    program.chmod(0o755)
    return f"PYTHON={program}"


def test_no_python_at_all(checkout):
    result = _make(checkout, "PYTHON=python-that-is-not-there")

    assert result.returncode != 0
    assert _said(result) == [
        "There is no python-that-is-not-there here. Install Python 3.11 or newer, or name one: "
        "make run PYTHON=/path/to/python3"
    ]


def test_a_python_that_is_too_old(checkout, tmp_path):
    result = _make(checkout, _python(tmp_path, "sys.version_info = (3, 9, 2, 'final', 0)"))

    assert result.returncode != 0
    assert _said(result) == [
        "Python 3.9 is too old: the portal needs Python 3.11 or newer. Install one and name it, for example: "
        "make run PYTHON=python3.11"
    ]
    assert not (checkout / ".venv").exists()


def test_a_python_without_its_venv_module(checkout, tmp_path):
    result = _make(checkout, _python(tmp_path, "sys.modules['ensurepip'] = None"))

    assert result.returncode != 0
    assert _said(result) == [
        "This Python has no venv module. Install it (on Debian and Ubuntu: apt-get install python3-venv) and run the "
        "command again."
    ]


def test_no_network_at_the_first_install(checkout):
    result = _make(
        checkout,
        f"PYTHON={sys.executable}",
        PIP_INDEX_URL=f"http://127.0.0.1:{free_port()}/simple",
        PIP_EXTRA_INDEX_URL="",
        PIP_FIND_LINKS="",
        PIP_CONFIG_FILE=os.devnull,
    )

    assert result.returncode != 0
    assert _said(result)[-1] == (
        "Installing the pinned Python packages of requirements.txt failed because the network cannot be reached. The first "
        "start downloads packages; connect the machine and run the command again (later starts work offline)."
    )
    assert not (checkout / ".venv" / "stamps" / "requirements").exists()


def test_the_script_can_be_read_by_a_python_that_is_too_old():
    # ast knows the grammar of old versions only roughly; an f-string or a walrus it would notice.
    import ast

    source = (BASE_DIR / "scripts" / "prepare.py").read_text()
    ast.parse(source, feature_version=(3, 4))
    assert 'f"' not in source
