"""The listener as the process that a hospital runs, with a database of its own."""

import json
import os
import sqlite3
import subprocess
import sys

import pytest

from tests.dimse.conftest import CALLED, CALLING, dicom, echo
from tests.harness.portal import ROOT, clean_environment, manage, until
from tests.harness.processes import accepts, free_port, running

SETUP = """
from diagnosis.models import PacsPeer, Site
from diagnosis.services.accounts import membership_set, system_user
from diagnosis.models import User
site = Site.objects.create(name="Saint Example")
account = User.objects.create(username="room-2")
membership_set(actor=system_user(), user=account, site=site, role="doctor")
PacsPeer.objects.create(
    site=site, name="Room 2", account=account, ae_title="ROOM2", may_send=True, networks="127.0.0.1"
)
"""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """The environment of a portal with one peer."""
    folder = tmp_path_factory.mktemp("hospital")
    environment = clean_environment(CXR_VAR_DIR=str(folder), CXR_DICOM_PORT=str(free_port()))
    manage(environment, "migrate", "--verbosity", "0")
    manage(environment, "shell", "--verbosity", "0", "-c", SETUP)
    return environment


@pytest.fixture
def listening(hospital, tmp_path):
    port, log = int(hospital["CXR_DICOM_PORT"]), tmp_path / "listener.log"
    with running(
        [sys.executable, ROOT / "manage.py", "dicom_listener"],
        log=log,
        ready=lambda: accepts(port),
        env=hospital,
        cwd=ROOT,
    ) as process:
        yield port, process, log


def images(environment):
    with sqlite3.connect(f"{environment['CXR_VAR_DIR']}/db.sqlite3") as connection:
        return connection.execute("SELECT sop_instance_uid, road, file FROM diagnosis_image").fetchall()


def test_it_stores_what_is_pushed_and_ends_by_itself_when_told_to(hospital, listening, send):
    port, process, log = listening
    assert send(port, dicom(1), dicom(2)).returncode == 0
    stored = images(hospital)
    assert [road for _, road, _ in stored] == ["c_store", "c_store"]
    for _, _, name in stored:
        assert os.path.getsize(f"{hospital['CXR_VAR_DIR']}/media/{name}") > 0  # noqa: PTH202
    process.terminate()
    assert process.wait(30) == 0
    assert log.read_text().rstrip().endswith("Stopped.")
    # Every line of the log is one of ours, and names nobody.
    lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
    assert all(json.loads(line)["message"] for line in lines)
    assert "Example^Ana" not in log.read_text()
    assert "MRN-1" not in log.read_text()


def test_a_listener_that_was_killed_loses_nothing_that_it_has_told_of(hospital, listening, send):
    port, process, _ = listening
    assert send(port, dicom(3)).returncode == 0
    process.kill()
    process.wait()
    assert len([uid for uid, _, _ in images(hospital)]) == len({uid for uid, _, _ in images(hospital)}) >= 1
    until(lambda: not accepts(port), "the end of the process")
    assert echo(port, calling=CALLING, called=CALLED).returncode != 0


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        ({"CXR_DICOM_PORT": ""}, "Set CXR_DICOM_PORT"),
        ({"CXR_DICOM_TLS_CERTIFICATE": "/nowhere.pem"}, "Set both"),
        (
            {"CXR_DICOM_TLS_CERTIFICATE": "/nowhere.pem", "CXR_DICOM_TLS_KEY": "/nowhere.key"},
            "cannot be read",
        ),
    ],
    ids=["no port", "no key", "no file"],
)
def test_what_it_needs_is_said_in_one_sentence(hospital, own, sentence):
    environment = {**hospital, **own}
    environment = {name: value for name, value in environment.items() if value}
    result = subprocess.run(
        [sys.executable, ROOT / "manage.py", "dicom_listener"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode != 0
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
