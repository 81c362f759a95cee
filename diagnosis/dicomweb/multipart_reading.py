"""The parts of a multipart/related body, one after the other as they arrive."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator
from email.message import Message
from typing import Protocol

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

READ_BYTES = 256 * 1024
MOST_HEADER_BYTES = 8 * 1024


class BodyStream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class BodyBroken(Exception):  # noqa: N818  Named for what happened.
    """The body is no multipart/related with that boundary, or its end is missing."""


@dataclasses.dataclass(slots=True)
class ReceivedPart:
    """``content`` is ``None`` for a part of more than the allowed bytes: it was not kept."""

    content_type: str
    content: bytes | None


class _Reader:
    """Collects one part at a time; what is over the limit is dropped while it arrives."""

    def __init__(self, boundary: bytes, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.complete: deque[ReceivedPart] = deque()
        self.has_ended = False
        self._headers = Message()
        self._name, self._value = b"", b""
        self._content: bytearray | None = bytearray()
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_end": self._all_ended,
            },
        )

    def _begin(self) -> None:
        self._headers, self._content = Message(), bytearray()
        self._name, self._value = b"", b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name = self._bounded(self._name + data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value = self._bounded(self._value + data[start:end])

    @staticmethod
    def _bounded(text: bytes) -> bytes:
        if len(text) > MOST_HEADER_BYTES:
            raise BodyBroken
        return text

    def _header_end(self) -> None:
        self._headers[self._name.decode("latin-1")] = self._value.decode("latin-1").strip()
        self._name, self._value = b"", b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._content is None:
            return
        if len(self._content) + end - start > self.most_bytes:
            self._content = None
        else:
            self._content += memoryview(data)[start:end]

    def _end(self) -> None:
        content = None if self._content is None else bytes(self._content)
        self._content = None
        self.complete.append(ReceivedPart(self._headers.get("Content-Type", ""), content))

    def _all_ended(self) -> None:
        self.has_ended = True


def parts_of(stream: BodyStream, boundary: str, *, most_bytes: int) -> Iterator[ReceivedPart]:
    """The parts of ``stream``. Raises ``BodyBroken`` where it is no such body, or breaks off: after the parts that were whole."""
    try:
        reader = _Reader(boundary.encode("ascii"), most_bytes)
    except (UnicodeEncodeError, MultipartParseError):
        raise BodyBroken from None
    while chunk := stream.read(READ_BYTES):
        try:
            reader.parser.write(chunk)
        except MultipartParseError:
            yield from reader.complete
            raise BodyBroken from None
        while reader.complete:
            yield reader.complete.popleft()
    if not reader.has_ended:
        raise BodyBroken
