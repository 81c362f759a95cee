"""Several parts in one body (RFC 2387), written and read piece by piece."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator

from django.http import StreamingHttpResponse

from diagnosis.dicomweb.negotiation import MULTIPART


class Part:
    """One part: its media type, its own address, and its content in chunks, which are asked for when it is their turn."""

    __slots__ = ("content", "content_type", "location")

    def __init__(self, content_type: str, content: Iterable[bytes], location: str = "") -> None:
        self.content_type = content_type
        self.content = content
        self.location = location


def multipart_response(media_type: str, parts: Iterable[Part]) -> StreamingHttpResponse:
    """Send ``parts`` of ``media_type`` one after the other; never more than one is in memory.

    An error in the middle ends the connection without the closing boundary, so the receiver knows that a part is missing.
    """
    boundary = uuid.uuid4().hex
    return StreamingHttpResponse(
        _written(boundary, parts),
        content_type=f'{MULTIPART}; type="{media_type}"; boundary={boundary}',
    )


def _written(boundary: str, parts: Iterable[Part]) -> Iterator[bytes]:
    for part in parts:
        head = [f"--{boundary}", f"Content-Type: {part.content_type}"]
        if part.location:
            head.append(f"Content-Location: {part.location}")
        yield ("\r\n".join(head) + "\r\n\r\n").encode()
        yield from part.content
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()
