"""A set of drawn files for demonstrations: invented patients, each in another kind of file."""

from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from pydicom import uid

from ml.phantom.drawing import Variant
from ml.phantom.encoding import Greys, phantom_dicom, phantom_jpeg, phantom_png


@dataclass(frozen=True)
class InventedPatient:
    """A person who does not exist: the family name says so in its own language."""

    name: str
    record_number: str
    birth_date: str
    sex: str


PATIENTS = (
    InventedPatient("Phantom^Ada", "DRAWN-0001", "19480312", "F"),
    InventedPatient("Fantôme^Zoë", "DRAWN-0002", "19610704", "F"),
    InventedPatient("Mokei^Taro=模型^太郎=もけい^たろう", "DRAWN-0003", "19551123", "M"),
    InventedPatient("وهمي^مرسوم", "DRAWN-0004", "19720229", "M"),
    InventedPatient("Erfunden^Jürgen", "DRAWN-0005", "19390518", "M"),
    InventedPatient("Huagou^Ren=画构^人", "DRAWN-0006", "19840906", "O"),
)

#: The kinds of file, in the order in which a set uses them. None stands for a PNG or a JPEG.
DICOM_KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("explicit-12bit", {"bits_stored": 12}),
    (
        "jpeg2000-16bit-monochrome1",
        {"bits_stored": 16, "photometric": "MONOCHROME1", "transfer_syntax": uid.JPEG2000Lossless},
    ),
    ("jpegls-12bit-signed", {"bits_stored": 12, "signed": True, "transfer_syntax": uid.JPEGLSLossless}),
    ("rle-16bit-rescale", {"bits_stored": 16, "greys": Greys.RESCALE, "transfer_syntax": uid.RLELossless}),
    (
        "jpeg-8bit",
        {"bits_stored": 8, "greys": Greys.STORED_RANGE, "transfer_syntax": uid.JPEGBaseline8Bit},
    ),
    (
        "implicit-12bit-voi-lut-monochrome1",
        {"photometric": "MONOCHROME1", "greys": Greys.VOI_LUT, "transfer_syntax": uid.ImplicitVRLittleEndian},
    ),
    ("jpeg2000-lossy-12bit", {"bits_stored": 12, "transfer_syntax": uid.JPEG2000}),
    ("big-endian-16bit", {"bits_stored": 16, "transfer_syntax": uid.ExplicitVRBigEndian}),
)
VARIANTS = (Variant.NORMAL, Variant.PERIPHERAL, Variant.DIFFUSE)
#: Every fifth file of a set is a raster, PNG and JPEG in turn.
RASTER_EVERY = 5


def write_demo_set(folder: Path, count: int, *, rows: int = 1024, columns: int = 1024) -> list[Path]:
    """Write `count` drawn chests into `folder`, which is made where missing; return the files in order.

    The same count gives the same files. Each DICOM file names one of `PATIENTS`, in turn; a raster names
    nobody.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kinds = cycle(DICOM_KINDS)
    rasters = cycle(((".png", phantom_png), (".jpg", phantom_jpeg)))
    written = []
    for seed, patient in enumerate(islice(cycle(PATIENTS), count)):
        variant = VARIANTS[seed % len(VARIANTS)]
        if (seed + 1) % RASTER_EVERY == 0:
            suffix, draw = next(rasters)
            path = folder / f"drawn-{seed:03d}-{variant}{suffix}"
            content = draw(seed, variant=variant, rows=rows, columns=columns)
        else:
            kind, options = next(kinds)
            path = folder / f"drawn-{seed:03d}-{variant}-{kind}.dcm"
            content = phantom_dicom(
                seed,
                variant=variant,
                rows=rows,
                columns=columns,
                patient_name=patient.name,
                patient_id=patient.record_number,
                patient_birth_date=patient.birth_date,
                patient_sex=patient.sex,
                accession_number=f"ACC-{seed:05d}",
                study_date=f"202004{seed % 28 + 1:02d}",
                view_position="PA" if seed % 2 else "AP",
                **options,
            )
        path.write_bytes(content)
        written.append(path)
    return written
