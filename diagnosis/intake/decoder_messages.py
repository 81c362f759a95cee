"""What the portal and the decoder's process say to each other: a JSON object, and parts of bytes behind it."""

from __future__ import annotations

import dataclasses
import json
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

LENGTH = struct.Struct(">I")
CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    head: dict[str, Any]
    parts: Sequence[bytes] = ()


def send(connection: socket.socket, message: Message) -> None:
    """Raises ``OSError`` when nobody listens (any more), ``TimeoutError`` after the socket's timeout."""
    head = json.dumps([message.head, [len(part) for part in message.parts]]).encode()
    connection.sendall(LENGTH.pack(len(head)) + head)
    for part in message.parts:
        connection.sendall(part)


def receive(connection: socket.socket, *, deadline: float | None = None) -> Message | None:
    """The next message; ``None`` once the other end is closed, in the middle of one too.

    Raises ``TimeoutError`` when it is not there by ``deadline``, in seconds of ``time.monotonic``.
    """
    length = _read(connection, LENGTH.size, deadline)
    head = _read(connection, LENGTH.unpack(length)[0], deadline) if length else None
    if head is None:
        return None
    values, sizes = json.loads(head)
    parts = [_read(connection, size, deadline) for size in sizes]
    return None if None in parts else Message(values, [part for part in parts if part is not None])


def _read(connection: socket.socket, size: int, deadline: float | None) -> bytes | None:
    content = bytearray()
    while len(content) < size:
        if deadline is not None:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
        chunk = connection.recv(min(CHUNK, size - len(content)))
        if not chunk:
            return None
        content += chunk
    return bytes(content)
