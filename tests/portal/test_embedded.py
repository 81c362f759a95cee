"""The portal as ``make run`` starts it: web server and worker for real, on one machine."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import pytest
import requests

from ml.phantom import phantom_dicom
from tests.harness.binaries import require
from tests.harness.portal import ROOT, PortalProcess, start_portal, until
from tests.harness.processes import accepts, free_port

pytestmark = pytest.mark.xdist_group("embedded")


def _processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of every living process."""
    listing = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split(maxsplit=3) for line in listing.splitlines())
    return {int(pid): (int(parent), args) for pid, parent, state, args in rows if not state.startswith("Z")}


def _descendants(pid: int) -> set[int]:
    processes = _processes()
    found = {pid}
    while more := {child for child, (parent, _) in processes.items() if parent in found} - found:
        found |= more
    return found - {pid}


def _gone(pids: set[int]) -> bool:
    return not pids & _processes().keys()


def test_it_says_where_it_runs_and_all_is_up(portal: PortalProcess):
    printed = (portal.var_dir / "supervisor.log").read_text()

    assert f"CXR Portal runs at {portal.url}/" in printed
    assert requests.get(f"{portal.url}/healthz", timeout=5).json()["status"] == "ok"
    assert requests.get(f"{portal.url}/accounts/login/", timeout=5).status_code == 200
    assert requests.get(f"{portal.url}/api/schema/", timeout=5).status_code == 200


def test_the_accounts_are_printed_and_kept_where_only_the_owner_reads_them(portal: PortalProcess):
    printed = (portal.var_dir / "supervisor.log").read_text()
    file = portal.var_dir / "demo-accounts.txt"

    assert file.stat().st_mode & 0o777 == 0o600
    # Other tests make accounts of their own at the same portal.
    passwords = {portal.accounts[name] for name in ("doctor", "radiologist", "admin")}
    assert len(passwords) == 3
    assert all(password in printed for password in passwords)


def test_the_demo_patients_get_their_second_opinion_from_the_worker(portal: PortalProcess):
    counts = (
        # Other tests upload to the same portal, and not all of it is a chest; nor is everything of a demo patient's analysed.
        "from diagnosis.models import Image, Prediction;"
        "demo = Image.objects.filter(study__patient__mrn__startswith='DEMO-', not_analysed_code='');"
        "print(demo.count(), Prediction.objects.filter(image__in=demo, status='done').count())"
    )

    def all_done() -> bool:
        images, done = map(int, portal.manage("shell", "--no-imports", "--command", counts).split())
        return images == done > 0

    until(all_done, "a prediction for each demo image")


def test_a_second_portal_on_the_same_port_says_so_and_harms_nothing(portal: PortalProcess, tmp_path):
    port = portal.url.rpartition(":")[2]

    result = subprocess.run(
        [sys.executable, "manage.py", "portal", "--port", port],
        cwd=ROOT,
        env={**portal.env, "CXR_VAR_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    assert result.stderr == (
        f"Port {port} cannot be used: another program uses it; stop that one, or choose another: make run PORT=8123\n"
    )
    assert requests.get(f"{portal.url}/healthz", timeout=5).ok


def test_ctrl_c_stops_everything_and_the_second_start_is_fast(tmp_path):
    with start_portal(tmp_path) as first:
        passwords = first.accounts
        processes = _descendants(first.process.pid)
        assert len(processes) >= 4
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(20) == 0
        # A decoder ends by itself when the process that asked it has ended.
        until(lambda: _gone(processes), "the end of all processes", seconds=5)
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(first.url.rpartition(":")[2])), timeout=1).close()
            pytest.fail("the port is still taken")

    start = time.monotonic()
    with start_portal(tmp_path) as second:
        assert time.monotonic() - start < 10
        assert second.accounts == passwords
        assert "Stopped." in (tmp_path / "supervisor.log").read_text()


def test_a_worker_that_dies_stops_the_portal_and_is_named(tmp_path):
    with start_portal(tmp_path) as portal:
        processes = _descendants(portal.process.pid)
        supervisor = portal.process.pid
        (worker,) = [
            pid for pid, (parent, args) in _processes().items() if parent == supervisor and "celery" in args
        ]
        os.kill(worker, signal.SIGKILL)

        assert portal.process.wait(20) == 1
        assert "The worker process ended (exit code -9)." in (tmp_path / "supervisor.log").read_text()
        until(lambda: _gone(processes), "the end of all processes", seconds=5)


LET_IN = """
from diagnosis.models import PacsPeer, Site, User
from diagnosis.services.accounts import membership_set, system_user
site = Site.objects.first()
account = User.objects.create(username="room-2")
membership_set(actor=system_user(), user=account, site=site, role="doctor")
PacsPeer.objects.create(
    site=site, name="Room 2", account=account, ae_title="ROOM2", may_send=True, networks="127.0.0.1"
)
"""


def _opinions(portal: PortalProcess) -> set[str]:
    """How far the second opinions on what came from the X-ray room are."""
    with contextlib.closing(sqlite3.connect(portal.var_dir / "db.sqlite3")) as connection:
        return {
            status
            for (status,) in connection.execute(
                "SELECT prediction.status FROM diagnosis_prediction prediction JOIN diagnosis_image image "
                "ON image.id = prediction.image_id WHERE image.road = 'c_store'"
            )
        }


def test_a_site_that_names_a_port_gets_the_listener_and_what_comes_is_analysed_when_it_is_quiet(tmp_path):
    store = require("storescu")
    port, chest = free_port(), tmp_path / "chest.dcm"
    chest.write_bytes(phantom_dicom(5, patient_id="DIMSE-1", study_instance_uid="1.2.3.4"))
    said = {"CXR_DICOM_PORT": str(port), "CXR_STUDY_QUIET_SECONDS": "1", "CXR_DICOM_AE_TITLE": "WARD"}
    with start_portal(tmp_path / "var", said) as portal:
        assert accepts(port)  # From the moment on at which it says that it runs.
        portal.manage("shell", "--verbosity", "0", "-c", LET_IN)
        command = [store, "-aet", "ROOM2", "-aec", "WARD", "127.0.0.1", str(port), str(chest)]
        subprocess.run(command, check=True, timeout=60)
        until(lambda: _opinions(portal) & {"done", "refused"}, "the second opinion on what was pushed")
        processes = _descendants(portal.process.pid)
        portal.process.send_signal(signal.SIGINT)
        assert portal.process.wait(30) == 0
        until(lambda: _gone(processes), "the end of all processes", seconds=5)


def test_without_a_port_there_is_no_listener(portal: PortalProcess):
    assert not any("dicom_listener" in _processes()[pid][1] for pid in _descendants(portal.process.pid))
    assert not (portal.var_dir / "log" / "dicom-listener.log").exists()
