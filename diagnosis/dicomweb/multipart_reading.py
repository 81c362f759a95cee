"""The parts of a multipart/related body, one after the other as they arrive."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections import deque
from collections.abc import Iterator
from email.message import Message
from typing import Protocol

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from diagnosis.intake.spool import Spool

logger = logging.getLogger(__name__)

READ_BYTES = 512 * 1024
MOST_HEADER_BYTES = 8 * 1024


class BodyStream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class BodyBroken(Exception):  # noqa: N818  Named for what happened.
    """The body is no multipart/related with that boundary, or its end is missing."""


@dataclasses.dataclass(slots=True)
class ReceivedPart:
    """``content``, which whoever takes the part closes, is ``None`` for one of more than the allowed bytes, and for one for which
    the disk had no room: it was not kept.
    """

    content_type: str
    content: Spool | None
    had_no_room: bool = False


class PartWriter:
    """Spools one part; what is over the limit, or finds no room, is dropped while it arrives."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._had_no_room = False
        self._spool: Spool | None = None
        with self._disk():
            self._spool = Spool()

    def write(self, content: bytes | memoryview) -> None:
        if self._spool is None:
            return
        if self._spool.size + len(content) > self._most_bytes:
            self.drop()
            return
        with self._disk():
            self._spool.write(content)

    def part(self, content_type: str) -> ReceivedPart:
        """The whole part, which is now its taker's."""
        spool, self._spool = self._spool, None
        return ReceivedPart(content_type, spool, self._had_no_room)

    def drop(self) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            logger.exception("A part of a body could not be written.")
            self._had_no_room = True
            self.drop()


class _Reader:
    """Collects one part at a time."""

    def __init__(self, boundary: bytes, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.complete: deque[ReceivedPart] = deque()
        self.has_ended = False
        self._headers = Message()
        self._name, self._value = b"", b""
        self._writer: PartWriter | None = None
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
        self._headers, self._writer = Message(), PartWriter(self.most_bytes)
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
        if self._writer is not None:
            self._writer.write(memoryview(data)[start:end])

    def _end(self) -> None:
        if self._writer is not None:
            self.complete.append(self._writer.part(self._headers.get("Content-Type", "")))
            self._writer = None

    def _all_ended(self) -> None:
        self.has_ended = True

    def close(self) -> None:
        """Throw away the part that has not ended, and those that nobody took."""
        if self._writer is not None:
            self._writer.drop()
        for part in self.complete:
            if part.content is not None:
                part.content.close()


def parts_of(stream: BodyStream, boundary: str, *, most_bytes: int) -> Iterator[ReceivedPart]:
    """The parts of ``stream``. Raises ``BodyBroken`` where it is no such body, or breaks off: after the parts that were whole."""
    try:
        reader = _Reader(boundary.encode("ascii"), most_bytes)
    except (UnicodeEncodeError, MultipartParseError):
        raise BodyBroken from None
    with contextlib.closing(reader):
        is_broken = False
        while not is_broken and (chunk := stream.read(READ_BYTES)):
            try:
                reader.parser.write(chunk)
            except MultipartParseError:
                is_broken = True
            while reader.complete:
                yield reader.complete.popleft()
        if is_broken or not reader.has_ended:
            raise BodyBroken
