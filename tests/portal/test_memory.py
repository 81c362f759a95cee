"""Freed memory is kept for the next file."""

import subprocess
import sys

import pytest

from tests.harness.portal import ROOT

READS = """
import resource
from cxr_portal.memory import keep_freed_memory
if {kept}:
    keep_freed_memory()
def fault():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        content = bytearray(15 * 2**20)
        content[::4096] = content[::4096]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
fault()
print(fault())
"""


def faults(*, kept: bool) -> int:
    run = subprocess.run(
        [sys.executable, "-c", READS.format(kept=kept)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="It is for glibc alone.")
def test_a_process_that_keeps_its_memory_asks_the_kernel_for_it_once():
    assert faults(kept=True) * 10 < faults(kept=False)
