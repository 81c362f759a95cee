"""What a test does in a process of its own: die, fork, or be measured without what other tests left behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from django.conf import settings

SET_UP = "import django\ndjango.setup()\n"


def run_script(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python over the portal's own settings; ``arguments`` are its ``sys.argv[1:]``."""
    return subprocess.run(
        [sys.executable, "-c", SET_UP + source, *arguments],
        cwd=settings.BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "cxr_portal.settings"},
        capture_output=True,
        text=True,
        check=False,
    )


def peak_memory() -> int:
    """The most bytes that this process held since it runs its program; ``getrusage`` counts what its parent held too."""
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) * 1024
