"""The process that decodes: ``python -m diagnosis.intake.decoder_process SOCKET MEMORY``. It knows no records and no secrets.

A file that crashes a decoder, or makes it take memory or time without end, ends this process and not the web server. It ends by
itself when the socket's other end is closed.
"""

from __future__ import annotations

import dataclasses
import math
import resource
import socket
import sys
from pathlib import Path

from diagnosis.intake.decoder_messages import Message, receive, send
from diagnosis.intake.deidentification import deidentify
from diagnosis.intake.examine import examine_open, same_picture
from ml.imaging import CheckedImage, ImageRefused, Limits
from ml.preprocessing import Preprocessing


def main(descriptor: int, memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # A core dump would hold the patient.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    connection = socket.socket(fileno=descriptor)
    send(connection, Message({"ready": True}))
    decoder = Decoder()
    while (question := receive(connection, takes_files=True)) is not None:
        _allow_cpu(question.head["cpu_seconds"])
        try:
            answer = decoder.answer(question)
        except ImageRefused as refusal:
            answer = Message({"refused": list(refusal.args)})
        except MemoryError:
            # Between the decoders: what they cannot allocate is a refusal of its own.
            sys.exit(1)
        answer.head["peak_bytes"] = _peak_bytes()
        send(connection, answer)


def _allow_cpu(seconds: int) -> None:
    """From now on: the kernel ends this process (SIGXCPU) once it has computed for so long."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    until = math.ceil(usage.ru_utime + usage.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _peak_bytes() -> int:
    """The most memory this process has held. Linux hands ``ru_maxrss`` on from the process that started this one, so there
    it would be the starter's where that is larger.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


class Decoder:
    """What was decoded of the last examined file is kept until the next question: it may be what is to be reduced."""

    def __init__(self) -> None:
        self._checked: CheckedImage | None = None

    def answer(self, question: Message) -> Message:
        """Raises ``ImageRefused``."""
        checked, self._checked = self._checked, None
        if question.head["ask"] == "reduce":
            return _reduced(checked, question.head["sizes"])
        del checked
        limits = Limits(**question.head["limits"])
        if question.head["ask"] == "same_picture":
            first, second = question.parts
            return Message({"same": same_picture(first, second, limits)})
        [content] = question.parts
        if question.head["ask"] == "deidentify":
            key, is_shown = bytes.fromhex(question.head["key"]), question.head["is_shown"]
            copy = deidentify(content, key, limits, is_shown=is_shown)
            return Message({"header": copy.header}, [copy.content])
        examined, self._checked = examine_open(content, limits, render=question.head["render"])
        head = {
            field.name: getattr(examined, field.name)
            for field in dataclasses.fields(examined)
            if field.name not in ("preview", "thumbnail")
        }
        return Message(head, [examined.preview, examined.thumbnail])


def _reduced(checked: CheckedImage | None, sizes: list[int]) -> Message:
    """The squares of these sizes, each as the bytes of float32."""
    if checked is None:
        return Message({})
    pixels = checked.pixels()
    return Message({}, [Preprocessing(size).square(pixels).tobytes() for size in sizes])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
