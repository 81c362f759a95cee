"""Small DICOM files made by hand, real ones where they are there, and peers to compare with."""

import contextlib
import os
import re
import shutil
import tracemalloc
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import UID

from ml.imaging import GreyImage, ImageRefused, check_image, load_image
from ml.phantom import to_file

REPOSITORY = Path(__file__).parents[3]

#: pydicom warns of what damaged files hold; here these are damaged on purpose.
QUIET = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def data_set(
    samples: NDArray[Any],
    *,
    photometric: str = "MONOCHROME2",
    bits_stored: int | None = None,
    **elements: Any,
) -> Dataset:
    """An image data set whose native pixel data are `samples`; an element of None is left out."""
    ds = Dataset()
    ds.SOPClassUID = uid.ComputedRadiographyImageStorage
    ds.SOPInstanceUID = "1.2.3.4"
    ds.StudyInstanceUID = "1.2.3"
    ds.SeriesInstanceUID = "1.2.3.1"
    ds.PatientName = "Test^Invented"
    ds.PatientID = "T1"
    ds.Rows, ds.Columns = samples.shape[:2]
    ds.SamplesPerPixel = samples.shape[2] if samples.ndim == 3 else 1
    if samples.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.PhotometricInterpretation = photometric
    ds.BitsAllocated = 8 * samples.dtype.itemsize
    ds.BitsStored = bits_stored or ds.BitsAllocated
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(samples.dtype.kind == "i")
    data = samples.tobytes()
    ds.PixelData = data + b"\x00" * (len(data) % 2)
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
    for keyword, value in elements.items():
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    return ds


def dicom(samples: NDArray[Any], transfer_syntax: UID = uid.ExplicitVRLittleEndian, **options: Any) -> bytes:
    """The file of such a data set. For an encapsulated syntax, pass the encoded value as PixelData."""
    ds = data_set(samples, **options)
    if transfer_syntax.is_encapsulated:
        ds["PixelData"].VR = "OB"
    return to_file(ds, transfer_syntax)


def deflated(content: bytes) -> bytes:
    """An uncompressed little endian file with its data set deflated (PS3.5 A.5)."""
    return to_file(pydicom.dcmread(BytesIO(content)), uid.DeflatedExplicitVRLittleEndian)


def rle(samples: NDArray[Any]) -> bytes:
    """The encapsulated RLE value of colour samples."""
    frame = get_encoder(uid.RLELossless).encode(
        samples,
        encoding_plugin="pydicom",
        rows=samples.shape[0],
        columns=samples.shape[1],
        samples_per_pixel=3,
        bits_allocated=8,
        bits_stored=8,
        pixel_representation=0,
        photometric_interpretation="RGB",
        planar_configuration=0,
        number_of_frames=1,
    )
    return encapsulate([frame])


def real_dicom(name: str) -> Path:
    """A real chest X-ray of the data folder (CXR_DATA); the test is skipped where it is not there."""
    return real_file(f"dicom/{name}")


def real_file(pattern: str) -> Path:
    """The first file of the data folder (CXR_DATA) that matches; the test is skipped where there is none."""
    folder = Path(os.environ.get("CXR_DATA", REPOSITORY / "../shared/data"))
    for path in sorted(folder.glob(pattern)):
        return path
    pytest.skip(f"no {pattern} in {folder}: set CXR_DATA to the folder of the research data")


def peer(program: str) -> str:
    """A program of DCMTK; the test is skipped where it is missing, or fails under REQUIRE_SERVICES=1."""
    found = shutil.which(program)
    if found is None:
        message = f"{program} is not installed: apt-get install dcmtk"
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return found


def image_or_code(content: bytes | Path) -> GreyImage | str:
    """What `load_image` makes of it, and `check_image` says the same; any exception but a refusal leaves."""
    try:
        image = load_image(content)
    except ImageRefused as refused:
        with pytest.raises(ImageRefused, match=re.escape(str(refused))) as checked:
            check_image(content)
        assert checked.value.code == refused.code  # noqa: PT017
        return refused.code
    checked = check_image(content)
    assert (checked.kind, checked.rows, checked.columns) == (image.kind, image.rows, image.columns)
    assert np.array_equal(checked.pixels(), image.pixels)
    return image


@contextlib.contextmanager
def memory_below(most: int) -> Iterator[None]:
    """Fails where more bytes than that are allocated at one time; what else a test measures stays untraced."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most
