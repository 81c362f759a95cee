"""Decoding in processes of their own, a few of which wait for the next file."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings

from diagnosis.intake.decoder_messages import Message, receive, send
from diagnosis.intake.deidentification import DeidentifiedCopy
from diagnosis.intake.examine import ExaminedFile
from diagnosis.limits import image_limits
from ml.imaging import FileKind, ImageRefused

PROGRAM = "diagnosis.intake.decoder_process"
#: A process that has decoded so many files, or taken so much memory, is replaced.
FILES_EACH = 200
PEAK_BYTES = 512 * 1024 * 1024
#: Of glibc: blocks of up to 32 MB are kept for the next file. To find, clear and take them back took half of the time for one.
KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2), "MALLOC_TRIM_THRESHOLD_": str(128 * 1024**2)}
#: Loading the decoders; on a machine that is short of time this takes long, and no file is at fault.
START_SECONDS = 120
#: A process that waits for a disk or a processor computes nothing: the clock on the wall is the backstop for those.
WALL_FACTOR = 10


class DecoderDied(Exception):  # noqa: N818  Named for what happened.
    """A file ended the process that read it: by a crash, or by taking too much time or memory."""


class DecoderError(OSError):
    """No process can be started: the machine is at fault, not the file."""


class Reduction(Protocol):
    """What else is wanted of an examined file, for which nobody waits: squares, as ``ml.preprocessing`` makes them."""

    def sizes(self, examined: ExaminedFile) -> Sequence[int]:
        """Their sides in pixels; none where nothing is wanted of this file."""

    def begin(self, squares: Callable[[], list[bytes]]) -> None:
        """Must see to it that ``squares`` is called, once, in another thread: until then its decoder takes no other file.

        It returns the bytes of float32 of each; none where they could not be made.
        """


def examine_apart(
    content: bytes | Path, *, render: bool = True, reduction: Reduction | None = None
) -> ExaminedFile:
    """``examine`` in another process, whose file is not decoded again for ``reduction``, unless it is rendered.

    Raises ``ImageRefused``, ``DecoderDied`` and ``DecoderError``.
    """
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(processes.one())
        answer = _answer(process, "examine", [content], render=render)
        head = {name: value for name, value in answer.head.items() if name != "peak_bytes"}
        head["kind"] = FileKind(head["kind"])
        # JSON knows lists alone.
        head |= {name: tuple(head[name]) for name in ("unshown", "damage")}
        preview, thumbnail = answer.parts
        examined = ExaminedFile(**head, preview=preview, thumbnail=thumbnail)
        if reduction is not None and (sizes := reduction.sizes(examined)):
            ours = stack.pop_all()

            def squares() -> list[bytes]:
                with ours, contextlib.suppress(DecoderDied):
                    return list(_answer(process, "reduce", [], sizes=list(sizes)).parts)
                return []

            try:
                reduction.begin(squares)
            except BaseException:
                ours.close()
                raise
    return examined


def same_picture_apart(first: bytes | Path, second: bytes | Path) -> bool:
    """``same_picture`` in another process. Raises ``DecoderDied`` and ``DecoderError``."""
    return bool(_ask("same_picture", first, second).head["same"])


def deidentify_apart(content: bytes | Path, key: bytes, *, is_shown: bool) -> DeidentifiedCopy:
    """``deidentify`` in another process, which is given ``key``. Raises as ``examine_apart``."""
    answer = _ask("deidentify", content, key=key.hex(), is_shown=is_shown)
    return DeidentifiedCopy(answer.parts[0], answer.head["header"])


def _ask(ask: str, *contents: bytes | Path, **said: Any) -> Message:
    with processes.one() as process:
        return _answer(process, ask, contents, **said)


def _answer(process: _Process, ask: str, contents: Sequence[bytes | Path], **said: Any) -> Message:
    """``contents`` are those of files, or where they lie; what lies there comes to the decoder behind the others."""
    seconds = settings.CXR_DECODE_SECONDS
    limits = dataclasses.asdict(image_limits())
    parts = [content for content in contents if isinstance(content, bytes)]
    with contextlib.ExitStack() as stack:
        # Opened before the decoder is asked, and for reading alone.
        files = [stack.enter_context(path.open("rb")) for path in contents if isinstance(path, Path)]
        descriptors = [file.fileno() for file in files]
        head = {"ask": ask, "limits": limits, "cpu_seconds": seconds, **said}
        answer = process.ask(Message(head, parts, descriptors), seconds=WALL_FACTOR * seconds)
    if "refused" in answer.head:
        raise ImageRefused(*answer.head["refused"])
    return answer


class _Process:
    """One decoder, for one caller at a time."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.connection = ours
        self.is_worn = False
        self._files = 0
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM, str(theirs.fileno()), str(settings.CXR_DECODE_MEMORY_BYTES)],
                pass_fds=[theirs.fileno()],
                cwd=settings.BASE_DIR,
                # None of the portal's secrets. One thread each: threads reserve address space, which is limited.
                env={
                    "PATH": os.environ.get("PATH", ""),
                    "OPENBLAS_NUM_THREADS": "1",
                    "OMP_NUM_THREADS": "1",
                    **KEPT_MEMORY,
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # What a codec's own library prints may quote the file.
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        if self._next_message(START_SECONDS) is None:
            self.end()
            raise DecoderError("The decoder's process does not start.")

    def ask(self, question: Message, *, seconds: float) -> Message:
        """Raises ``DecoderDied``."""
        self.is_worn = True  # Until it has answered.
        self.connection.settimeout(seconds)
        try:
            send(self.connection, question)
            answer = self._next_message(seconds)
        except OSError:
            answer = None
        if answer is None:
            raise DecoderDied
        self._files += 1
        self.is_worn = self._files >= FILES_EACH or answer.head["peak_bytes"] > PEAK_BYTES
        return answer

    def _next_message(self, seconds: float) -> Message | None:
        try:
            return receive(self.connection, deadline=time.monotonic() + seconds)
        except OSError:  # TimeoutError is one.
            return None

    @property
    def pid(self) -> int:
        return self._process.pid

    def end(self) -> None:
        self.connection.close()
        self._process.kill()
        self._process.wait()


class _Processes:
    """At most ``CXR_DECODERS`` decoders of this process; a caller waits for a free one."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._idle: list[_Process] = []
        self._turns = threading.BoundedSemaphore(settings.CXR_DECODERS)
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """Decoders belong to the process that started them: two that ask one would read each other's answers."""
        for process in self._idle:
            process.connection.close()
        self._forget()

    def end_all(self) -> None:
        """End the decoders that wait; the next file gets a new one."""
        with self._lock:
            ended, self._idle = self._idle, []
        for process in ended:
            process.end()

    @contextlib.contextmanager
    def one(self) -> Iterator[_Process]:
        with self._turns:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            process = process or _Process()
            try:
                yield process
            finally:
                if process.is_worn:
                    process.end()
                else:
                    with self._lock:
                        self._idle.append(process)


processes = _Processes()
os.register_at_fork(after_in_child=processes.after_fork)
