"""A listener over this test's own records, and real peers that call it."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diagnosis.dimse.listener import Listener
from diagnosis.models import PacsPeer, User
from diagnosis.services.accounts import membership_set, system_user
from ml.phantom import phantom_dicom
from tests.factories import UserFactory
from tests.harness.binaries import require

SMALL = {"rows": 64, "columns": 60, "patient_id": "MRN-1", "patient_name": "Example^Ana"}
CALLED, CALLING = "CXRPORTAL", "ROOM2"


def dicom(seed: int = 1, **options) -> bytes:
    return phantom_dicom(seed, **{**SMALL, **options})


@pytest.fixture
def account(site) -> User:
    """The service account of the X-ray room."""
    user = UserFactory(username="room-2", first_name="X-ray", last_name="room 2")
    user.set_unusable_password()
    user.save()
    membership_set(actor=system_user(), user=user, site=site, role="doctor")
    return user


@pytest.fixture
def modality(site, account) -> PacsPeer:
    return PacsPeer.objects.create(
        site=site, name="Room 2", account=account, ae_title=CALLING, may_send=True, networks="127.0.0.1"
    )


@pytest.fixture
def listener(listen, modality) -> Listener:
    return listen()


@dataclasses.dataclass(frozen=True)
class Said:
    """How a program of DCMTK ended, and all that it printed."""

    returncode: int
    output: str


def dcmtk(program: str, *arguments: object) -> Said:
    result = subprocess.run(
        [require(program), "-v", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(result.returncode, result.stdout)


def echo(port: int, *, calling: str = CALLING, called: str = CALLED, options=()) -> Said:
    return dcmtk("echoscu", *options, "-aet", calling, "-aec", called, "127.0.0.1", port)


@pytest.fixture
def send(tmp_path) -> Callable[..., Said]:
    """storescu with these files; ``options`` are its own."""

    def call(port: int, *contents: bytes, calling: str = CALLING, called: str = CALLED, options=()) -> Said:
        folder = tmp_path / "to-send"
        folder.mkdir(exist_ok=True)
        paths = []
        for number, content in enumerate(contents):
            paths.append(folder / f"{number}.dcm")
            paths[-1].write_bytes(content)
        return dcmtk("storescu", *options, "-aet", calling, "-aec", called, "127.0.0.1", port, *paths)

    return call


@contextlib.contextmanager
def cutting_line(port: int, after: int) -> Iterator[int]:
    """A line to ``port`` that breaks after so many bytes to it; gives the port to call."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def carry() -> None:
            caller, _ = server.accept()
            with caller, socket.create_connection(("127.0.0.1", port)) as called:
                back = threading.Thread(target=_pump, args=(called, caller), daemon=True)
                back.start()
                left = after
                while left > 0 and (data := caller.recv(min(left, 4096))):
                    called.sendall(data)
                    left -= len(data)
                for end in (called, caller):
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)

        thread = threading.Thread(target=carry, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(30)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(4096):
            target.sendall(data)


def make_certificates(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = [require("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", f"/CN={name}"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return certificate, key
