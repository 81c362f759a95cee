"""The decoder's process, and what a harmful file would make of it: the name of a PNG's text chunk says what."""

import os
import sys
import time

from diagnosis.intake import decoder_process
from diagnosis.intake.examine import examine_open


def harmful_examine(content, limits, *, render):
    if b"HARM:abort" in content:
        os.abort()
    if b"HARM:spin" in content:
        while True:
            pass
    if b"HARM:sleep" in content:
        time.sleep(3600)
    if b"HARM:grow" in content:
        taken = []
        while True:
            taken.append(bytearray(1 << 24))
    if b"HARM:write" in content:
        with open("harm.txt", "w") as file:  # noqa: PTH123  As a codec would.
            file.write("x" * 10_000)
    return examine_open(content, limits, render=render)


decoder_process.examine_open = harmful_examine

if __name__ == "__main__":
    decoder_process.main(int(sys.argv[1]), int(sys.argv[2]))
