"""Two real chest X-rays, and an independent viewer."""

import subprocess
from io import BytesIO

import numpy as np
import pydicom
import pytest
from openjpeg.utils import decode as openjpeg_decode
from PIL import Image
from pydicom import uid
from pydicom.encaps import get_frame
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from ml.imaging import GreyImage, load_image
from ml.phantom import Greys, phantom_dicom
from tests.ml.imaging.files import peer, real_dicom

NEMA = "RG1_J2KI.dcm"
RSNA = "rsna-*.dcm"


def mean(image: GreyImage, top: float, bottom: float, left: float, right: float) -> float:
    """The mean of a part of the picture, its edges as fractions of rows and columns."""
    rows, columns = image.pixels.shape
    return float(
        image.pixels[int(top * rows) : int(bottom * rows), int(left * columns) : int(right * columns)].mean()
    )


def test_the_nema_film_has_dark_lungs_and_a_bright_mediastinum():
    image = load_image(real_dicom(NEMA))
    assert (image.rows, image.columns, image.bits_stored) == (1955, 1841, 15)
    assert image.photometric_interpretation == "MONOCHROME1"
    assert image.transfer_syntax == uid.JPEG2000
    assert image.grey_mapping == "LINEAR 15000/30000"
    mediastinum, abdomen = mean(image, 0.3, 0.6, 0.47, 0.52), mean(image, 0.78, 0.9, 0.15, 0.4)
    right_lung, left_lung = mean(image, 0.2, 0.3, 0.2, 0.38), mean(image, 0.2, 0.3, 0.6, 0.75)
    air_beside_the_neck = mean(image, 0.06, 0.09, 0.01, 0.04)
    assert max(right_lung, left_lung) < 0.72 < 0.86 < min(mediastinum, abdomen)
    assert air_beside_the_neck < 0.35
    assert float(image.pixels.min()) == pytest.approx(0.116, abs=0.002)
    assert float(image.pixels.max()) == pytest.approx(0.973, abs=0.002)
    assert np.percentile(image.pixels, (5, 50, 95)) == pytest.approx((0.478, 0.812, 0.907), abs=0.005)


def test_the_rsna_film_has_dark_lungs_a_bright_mediastinum_and_black_corners():
    image = load_image(real_dicom(RSNA))
    assert (image.rows, image.columns, image.bits_stored) == (1024, 1024, 8)
    assert image.photometric_interpretation == "MONOCHROME2"
    assert image.transfer_syntax == uid.JPEGBaseline8Bit
    assert image.grey_mapping == "stored range"
    mediastinum, abdomen = mean(image, 0.4, 0.6, 0.47, 0.54), mean(image, 0.8, 0.9, 0.15, 0.4)
    right_lung, left_lung = mean(image, 0.25, 0.35, 0.3, 0.38), mean(image, 0.25, 0.35, 0.65, 0.75)
    assert max(right_lung, left_lung) < 0.5 < 0.8 < min(mediastinum, abdomen)
    for corner in ((0, 0.03, 0, 0.03), (0, 0.03, 0.97, 1), (0.9, 0.97, 0, 0.03)):
        assert mean(image, *corner) < 0.15


def test_the_nema_film_equals_another_decoder_and_pydicoms_processing():
    path = real_dicom(NEMA)
    ds = pydicom.dcmread(path)
    samples = openjpeg_decode(get_frame(ds.PixelData, 0, number_of_frames=1))
    # pydicom's output range is that of 15 bits; MONOCHROME1 is inverted last.
    reference = 1 - apply_voi_lut(apply_modality_lut(samples, ds), ds) / (2**15 - 1)
    pixels = load_image(path).pixels
    assert np.corrcoef(pixels.ravel(), reference.ravel())[0, 1] > 0.9999
    # Two decoders may round a lossy codestream differently by one step of the 15 bits.
    assert np.abs(pixels - reference).max() < 2 / 30000


def test_the_rsna_film_equals_its_codestream_as_a_jpeg_file():
    path = real_dicom(RSNA)
    frame = get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)
    assert np.array_equal(load_image(path).pixels, load_image(frame).pixels)


def as_dcmtk_shows_it(content: bytes, folder, *options: str) -> np.ndarray:
    (folder / "image.dcm").write_bytes(content)
    subprocess.run(
        [peer("dcmj2pnm"), "-q", "+on", *options, folder / "image.dcm", folder / "image.png"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return np.asarray(Image.open(BytesIO((folder / "image.png").read_bytes())).convert("L"), dtype=np.float64)


#: DCMTK applies no window of the file unless told which.
SHOWN_BY = {Greys.STORED_RANGE: ["-W"], Greys.IDENTITY: ["-W"], Greys.VOI_LUT: ["+Wl", "1"]}


@pytest.mark.parametrize("greys", Greys)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_every_grey_scale_looks_as_dcmtk_shows_it(tmp_path, greys, photometric, signed):
    bits = 8 if greys is Greys.STORED_RANGE else 12
    content = phantom_dicom(
        3, rows=96, columns=80, greys=greys, photometric=photometric, signed=signed, bits_stored=bits
    )
    shown = as_dcmtk_shows_it(content, tmp_path, *SHOWN_BY.get(greys, ["+Wi", "1"]))
    # DCMTK has its own rounding to 8 bits.
    assert np.abs(load_image(content).pixels * 255 - shown).max() < 1.51


def test_the_rsna_film_looks_as_dcmtk_shows_it(tmp_path):
    content = real_dicom(RSNA).read_bytes()
    # Two JPEG decoders differ by the rounding of their transforms.
    assert np.abs(load_image(content).pixels * 255 - as_dcmtk_shows_it(content, tmp_path, "-W")).max() <= 2
