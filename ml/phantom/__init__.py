"""Drawn chest X-rays for demonstration and tests: no patient, no data set. `python -m ml.phantom --out DIR`
writes some.
"""

from ml.phantom.demo import PATIENTS, InventedPatient, write_demo_set
from ml.phantom.drawing import WARNING, Variant, draw_chest
from ml.phantom.encoding import (
    TRANSFER_SYNTAXES,
    Greys,
    PhantomDicom,
    phantom_dicom,
    phantom_jpeg,
    phantom_png,
    to_file,
)

__all__ = [
    "PATIENTS",
    "TRANSFER_SYNTAXES",
    "WARNING",
    "Greys",
    "InventedPatient",
    "PhantomDicom",
    "Variant",
    "draw_chest",
    "phantom_dicom",
    "phantom_jpeg",
    "phantom_png",
    "to_file",
    "write_demo_set",
]
