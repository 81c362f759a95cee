"""What the portal and the decoder's process say to each other: a JSON object, and parts of bytes behind it.

The portal sends a file that lies on the disk as its open descriptor: its 15 MB would be copied four times on their way through
the socket.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

LENGTH = struct.Struct(">I")
CHUNK = 1 << 20
#: A descriptor travels with one byte at least.
FILE = b"F"


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    head: dict[str, Any]
    parts: Sequence[bytes] = ()
    files: Sequence[int] = ()
    """Descriptors; the receiver finds what they hold behind the parts."""


def send(connection: socket.socket, message: Message) -> None:
    """Raises ``OSError`` when nobody listens (any more), ``TimeoutError`` after the socket's timeout."""
    head = json.dumps([message.head, [len(part) for part in message.parts], len(message.files)]).encode()
    connection.sendall(LENGTH.pack(len(head)) + head)
    for part in message.parts:
        connection.sendall(part)
    for descriptor in message.files:
        socket.send_fds(connection, [FILE], [descriptor])


def receive(
    connection: socket.socket, *, deadline: float | None = None, takes_files: bool = False
) -> Message | None:
    """The next message; ``None`` once the other end is closed, in the middle of one too.

    Files are taken by the decoder alone: the portal opens nothing that comes out of it. Raises ``TimeoutError`` when the message
    is not there by ``deadline``, in seconds of ``time.monotonic``.
    """
    length = _read(connection, LENGTH.size, deadline)
    head = _read(connection, LENGTH.unpack(length)[0], deadline) if length else None
    if head is None:
        return None
    values, sizes, files = json.loads(head)
    parts = [_read(connection, size, deadline) for size in sizes]
    if takes_files:
        parts += [_read_file(connection) for _ in range(files)]
    return None if None in parts else Message(values, [part for part in parts if part is not None])


def _read_file(connection: socket.socket) -> bytes | None:
    _, descriptors, _, _ = socket.recv_fds(connection, len(FILE), 1)
    if not descriptors:
        return None
    with os.fdopen(descriptors[0], "rb", buffering=0) as file:
        return file.readall()


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
