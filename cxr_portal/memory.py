"""What the C library does with memory that is given back to it."""

from __future__ import annotations

import contextlib
import ctypes

# malloc.h of glibc.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
#: The most that glibc takes.
LARGEST_KEPT = 32 * 1024 * 1024
KEPT = 128 * 1024 * 1024


def keep_freed_memory() -> None:
    """Keep freed blocks of up to 32 MB for the next ones of this process, 128 MB in all, instead of giving each back at once.

    A file of 15 MB is read in blocks that the kernel would find, clear and take back one by one: that takes longer than all that
    is done with them. Does nothing with another C library than glibc.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, KEPT)
