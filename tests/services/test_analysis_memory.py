"""A worker that analyses the largest image that is accepted stays below 600 MB."""

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from django.conf import settings
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from tests.web.files import dicom

MOST_MEMORY = 600 * 2**20

ANALYSES = """
import re, sys
import django
django.setup()
from diagnosis import inference
from ml.imaging import ImageRefused, render_views
inference.served_model(), inference.served_gate()
with open(sys.argv[1], "rb") as file:
    pixels = inference.read(file.read())
try:
    inference.analyse(pixels)
except ImageRefused:
    pass
render_views(pixels)
with open("/proc/self/status") as status:  # The most since it started; getrusage counts what its parent held too.
    print(pixels.size, int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1]) * 1024)
"""


def largest(most_pixels: int) -> bytes:
    """JPEG 2000 takes the most memory of all that is read: the samples stand beside the decoder's own."""
    rows, columns = 8000, most_pixels // 8000
    samples = np.add.outer(np.arange(rows), np.arange(columns)).astype(np.uint16)
    ds = pydicom.dcmread(BytesIO(dicom()))
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = rows, columns, 16, 16, 15
    ds.PixelRepresentation = 0
    ds.PixelData = encapsulate([imagecodecs.jpeg2k_encode(samples, reversible=True, codecformat="j2k")])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    file = BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


def test_the_largest_image_is_analysed_in_600_mb(tmp_path: Path):
    path = tmp_path / "largest.dcm"
    path.write_bytes(largest(settings.CXR_MAX_PIXELS))
    # Of its own: the memory of a process that ran other tests says nothing.
    worker = subprocess.run(
        [sys.executable, "-c", ANALYSES, str(path)],
        cwd=settings.BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "cxr_portal.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert worker.returncode == 0, worker.stderr
    pixels, peak = map(int, worker.stdout.split())
    assert pixels == settings.CXR_MAX_PIXELS
    assert peak <= MOST_MEMORY
