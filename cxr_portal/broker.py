"""A Celery broker that needs no server: a folder of messages, for the embedded mode.

Kombu's file transport creates a message under its final name and fills it afterwards. A worker that looks in between takes an
empty message: it is lost, and the worker stops with a JSON error (19 of 4,000 messages with a worker that looks all the time).
Here a message gets its name once it is whole.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps


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


class Transport(filesystem.Transport):
    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None, **_: Any) -> None:
        # Celery looks between two rounds whether it was told to stop, and its rounds last 2 seconds: Ctrl-C would take 4.
        super().drain_events(connection, timeout=min(timeout or 0.2, 0.2))


# "folder://" in broker_url; a dotted path is no valid scheme when it holds an underscore.
TRANSPORT_ALIASES["folder"] = f"{__name__}:Transport"
