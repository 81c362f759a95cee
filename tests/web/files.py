"""Small files to upload."""

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from ml.phantom import phantom_dicom, phantom_png

SMALL = {"rows": 96, "columns": 90}


def dicom(seed: int = 1, **header: Any) -> bytes:
    said = {
        "patient_id": "MRN-1",
        "patient_name": "Example^Ana",
        "patient_birth_date": "",
        "patient_sex": "F",
    }
    return phantom_dicom(seed, **SMALL, **{**said, **header})


def png(seed: int = 1) -> bytes:
    return phantom_png(seed, **SMALL)


def uploaded(name: str, content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)
