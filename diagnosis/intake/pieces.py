"""The pieces of an upload, read as the one file that they are."""

from __future__ import annotations

import bisect
import io
from collections.abc import Callable, Sequence
from typing import cast


class Pieces(io.RawIOBase):
    """A file to read and to seek in, whose pieces lie in the storage: what is not asked for is not read, and nothing is copied.

    ``starts`` are the places of the pieces in the file, rising from 0; ``length`` is that of the whole in bytes; ``read_piece``
    gives the content of one. One piece is held in memory at a time. Raises what ``read_piece`` does, and ``OSError`` where a
    piece is shorter than its place says.
    """

    def __init__(self, starts: Sequence[int], length: int, read_piece: Callable[[int], bytes]) -> None:
        self._starts, self._length, self._read_piece = starts, length, read_piece
        self._place = 0
        self._number, self._piece = -1, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._length}[whence]
        if origin + offset < 0:
            raise OSError("A place before the beginning of the file.")
        self._place = origin + offset
        return self._place

    def readinto(self, buffer: object) -> int:
        target = memoryview(cast(bytearray, buffer)).cast("B")
        if self._place >= self._length or not target:
            return 0
        number = bisect.bisect_right(self._starts, self._place) - 1
        if number != self._number:
            self._number, self._piece = number, self._read_piece(number)
        inside = self._place - self._starts[number]
        part = self._piece[inside : inside + len(target)]
        if not part:
            raise OSError("A piece of the upload is shorter than it was.")
        target[: len(part)] = part
        self._place += len(part)
        return len(part)
