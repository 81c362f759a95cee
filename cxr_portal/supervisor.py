"""Starts the processes of the embedded mode, waits until all is up, and stops them together."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import BinaryIO

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
START_SECONDS = 120
STOP_SECONDS = 10


class SupervisorError(Exception):
    """Says in one sentence, for the person at the terminal, why the portal does not run."""


class StopRequested(KeyboardInterrupt):
    """Ctrl-C, or the signal of whoever started the supervisor."""


@dataclass(frozen=True, slots=True)
class Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anything else is done; 0 takes any free one. Raises ``SupervisorError`` when it cannot be had."""
    try:
        return socket.create_server((host, port), backlog=128)
    except OverflowError:
        reason = "a port is a number from 1 to 65535"
    except PermissionError:
        reason = "ports below 1024 are for the system"
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        reason = "another program uses it; stop that one"
    raise SupervisorError(f"Port {port} cannot be used: {reason}, or choose another: make run PORT=8123")


class Supervisor:
    """Child processes that live and die together. Use it as a context manager: leaving it stops them all."""

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self._children: list[Child] = []
        self._stop = threading.Event()

    def __enter__(self) -> Supervisor:
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_children()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()
        if not self._children:
            raise StopRequested  # Nothing to stop in order yet, and loading a folder of images may take long.

    def start(self, name: str, command: list[str], *, pass_fds: tuple[int, ...] = ()) -> None:
        """Start ``command`` with its output in ``<log_dir>/<name>.log``; the log of the run before is kept beside it."""
        log = self._log_dir / f"{name}.log"
        with _fresh_log(log) as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
                # A group of its own: Ctrl-C reaches the supervisor alone, which stops each child in order and whole.
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        self._children.append(Child(name, process, log))

    def wait_until_up(self, url: str) -> None:
        """Return once ``url`` answers 200. Raises ``SupervisorError`` with what is missing, ``StopRequested`` on Ctrl-C."""
        deadline = time.monotonic() + START_SECONDS
        answer = "no answer yet"
        while time.monotonic() < deadline:
            self._check()
            try:
                with urllib.request.urlopen(url, timeout=2):  # noqa: S310 (an address of our own)
                    return
            except urllib.error.HTTPError as error:
                answer = error.read(500).decode(errors="replace")
            except OSError:
                pass
            self._stop.wait(0.1)
        raise SupervisorError(
            f"The portal was not up after {START_SECONDS} s: {answer} (see {self._log_dir})."
        )

    def wait_until_listening(self, host: str, port: int) -> None:
        """Return once ``port`` takes connections. Raises as ``wait_until_up``."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self._check()
            with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
                return
            self._stop.wait(0.1)
        raise SupervisorError(
            f"Nothing listened on port {port} after {START_SECONDS} s (see {self._log_dir})."
        )

    def watch(self) -> None:
        """Return on Ctrl-C or a stop signal. Raises ``SupervisorError`` when a child ends by itself."""
        with contextlib.suppress(StopRequested):
            while True:
                self._check()
                self._stop.wait(0.5)

    def _check(self) -> None:
        if self._stop.is_set():
            raise StopRequested
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                raise SupervisorError(
                    f"The {child.name} process ended (exit code {code}). See the end of {child.log}."
                )

    def _stop_children(self) -> None:
        for child in self._children:
            child.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self._children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, deadline - time.monotonic()))
        for child in self._children:
            # The whole group, also after its leader has ended: a pool process or the scheduler may be left. An analysis that
            # is cut off stays queued in the database and is run at the next start.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()


@contextlib.contextmanager
def _fresh_log(path: Path) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.replace(path.with_suffix(".previous.log"))
    with path.open("wb") as file:
        yield file


def _end_with_parent() -> None:
    """On Linux a child gets SIGTERM when the supervisor is killed outright; elsewhere it would hold the port until found."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
