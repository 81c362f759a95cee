"""A Celery broker that needs no server: a folder of messages, for the embedded mode.

Kombu's file transport creates a message under its final name and fills it afterwards. A worker that looks in between takes an
empty message: it is lost, and the worker stops with a JSON error (19 of 4,000 messages with a worker that looks all the time).
Here a message gets its name once it is whole.

Kombu's worker looks into the folder at intervals. Here whoever writes a message wakes the workers, through a named pipe that
each of them waits at; the interval is the backstop.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps


class Bell:
    """Wakes one worker. ``ring`` needs none of its objects: the pipes in ``folder`` are those who wait."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / uuid.uuid4().hex
        os.mkfifo(self._path, mode=0o600)
        # Open for writing too: otherwise a pipe whose last writer has gone is always ready.
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)

    def wait(self, seconds: float) -> bool:
        """Whether it rang since the last time that somebody asked, or does within ``seconds``."""
        ready, _, _ = select.select([self._descriptor], [], [], seconds)
        if ready:
            os.read(self._descriptor, 4096)
        return bool(ready)

    def close(self) -> None:
        os.close(self._descriptor)
        self._path.unlink(missing_ok=True)

    @staticmethod
    def ring(folder: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            for path in folder.iterdir():
                _ring(path)


def _ring(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        # Nobody has it open: its worker was killed. One that was about to open it looks at intervals.
        path.unlink(missing_ok=True)
        return
    try:
        with contextlib.suppress(BlockingIOError):  # Full of rings that are not heard yet.
            os.write(descriptor, b"!")
    finally:
        os.close(descriptor)


class Channel(filesystem.Channel):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for folder in (self.data_folder_in, self.data_folder_out, self.control_folder):
            Path(folder).mkdir(parents=True, exist_ok=True)

    def _put(self, queue: str, payload: dict[str, Any], **_: Any) -> None:  # type: ignore[override]
        # The consumer takes names that end in "<queue>.msg", in alphabetical order: oldest first, also across a reboot.
        target = Path(self.data_folder_out) / f"{time.time_ns():020d}_{uuid.uuid4()}.{queue}.msg"
        unfinished = target.with_suffix(".writing")
        unfinished.write_text(dumps(payload))
        unfinished.rename(target)
        Bell.ring(bells_in(self.control_folder))


def bells_in(control_folder: Path | str) -> Path:
    return Path(control_folder) / "bells"


class Transport(filesystem.Transport):
    Channel = Channel
    client: Any
    cycle: Any
    _bell: Bell | None = None

    def drain_events(self, connection: Any, timeout: float | None = None, **_: Any) -> None:
        # Celery looks between two rounds whether it was told to stop, and its rounds last 2 seconds: Ctrl-C would take 4.
        until = time.monotonic() + min(timeout or 0.2, 0.2)
        if self._bell is None:
            self._bell = Bell(bells_in(self.client.transport_options["control_folder"]))
        while True:
            try:
                self.cycle.get(self._deliver)
            except Empty:
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError from None
                self._bell.wait(min(self.polling_interval, left))
            else:
                return

    def close_connection(self, connection: Any) -> None:
        if self._bell is not None:
            self._bell.close()
            self._bell = None
        super().close_connection(connection)


# "folder://" in broker_url; a dotted path is no valid scheme when it holds an underscore.
TRANSPORT_ALIASES["folder"] = f"{__name__}:Transport"
