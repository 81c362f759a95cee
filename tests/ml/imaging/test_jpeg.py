"""The kinds of JPEG that Pillow does not read, and deflated files: the same picture as uncompressed, or a refusal."""

import imagecodecs
import numpy as np
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate

from ml.imaging import Limits, check_object, load_image
from ml.phantom import phantom_dicom
from tests.ml.imaging.files import QUIET, data_set, deflated, dicom, image_or_code, memory_below
from tests.ml.imaging.test_refused import code_of

pytestmark = QUIET

RANDOM = np.random.default_rng(4)


def noise(bits: int, signed: bool) -> np.ndarray:
    """Every kind of value, the extremes too."""
    low = -(2 ** (bits - 1)) if signed else 0
    samples = RANDOM.integers(low, low + 2**bits, (37, 41))
    samples[0, :2] = low, low + 2**bits - 1
    return samples.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")


def codestream(samples: np.ndarray, bits: int, **options) -> bytes:
    """A JPEG has no sign: negative samples go in as their bit patterns (PS3.5 8.2.1)."""
    patterns = (samples.astype(np.int32) & (2**bits - 1)).astype(f"u{samples.dtype.itemsize}")
    return bytes(imagecodecs.jpeg8_encode(patterns, bitspersample=bits, **options))


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
@pytest.mark.parametrize(
    ("transfer_syntax", "predictor"),
    [(uid.JPEGLosslessSV1, 1), *((uid.JPEGLossless, n) for n in range(1, 8))],
)
def test_a_lossless_jpeg_shows_what_its_uncompressed_twin_shows(transfer_syntax, predictor, bits, signed):
    samples = noise(bits, signed)
    window = {"WindowCenter": 0 if signed else 2 ** (bits - 1), "WindowWidth": 2**bits}
    frame = codestream(samples, bits, lossless=True, predictor=predictor)
    image = load_image(
        dicom(samples, transfer_syntax, bits_stored=bits, PixelData=encapsulate([frame]), **window)
    )
    twin = load_image(dicom(samples, bits_stored=bits, **window))
    assert np.array_equal(image.pixels, twin.pixels)
    assert image.transfer_syntax == transfer_syntax


def test_an_extended_jpeg_of_12_bits_is_close_to_its_uncompressed_twin():
    samples = (np.add.outer(np.arange(64), np.arange(40)) * 39).astype(np.uint16)
    content = dicom(
        samples,
        uid.JPEGExtended12Bit,
        bits_stored=12,
        WindowCenter=2048,
        WindowWidth=4096,
        PixelData=encapsulate([codestream(samples, 12, level=98)]),
    )
    twin = load_image(dicom(samples, bits_stored=12, WindowCenter=2048, WindowWidth=4096))
    assert np.abs(load_image(content).pixels - twin.pixels).max() < 0.01


def test_a_lossless_jpeg_of_three_equal_channels_is_grey_in_fact():
    grey = noise(8, False)
    rgb = np.dstack([grey] * 3)
    frame = bytes(
        imagecodecs.jpeg8_encode(rgb, lossless=True, predictor=1, colorspace="rgb", outcolorspace="rgb")
    )
    content = dicom(rgb, uid.JPEGLosslessSV1, photometric="RGB", PixelData=encapsulate([frame]))
    assert np.array_equal(load_image(content).pixels, grey.astype(np.float32) / np.float32(255))


def test_a_lossless_jpeg_of_more_bits_than_the_data_set_allocates_is_corrupt():
    frame = codestream(noise(12, False), 12, lossless=True, predictor=1)
    small = noise(8, False)
    assert code_of(dicom(small, uid.JPEGLosslessSV1, PixelData=encapsulate([frame]))) == "corrupt"


def test_a_lossless_jpeg_cut_anywhere_is_refused():
    samples = noise(12, False)
    frame = codestream(samples, 12, lossless=True, predictor=1)
    for length in range(2, len(frame) - 2, 37):
        content = dicom(samples, uid.JPEGLosslessSV1, bits_stored=12, PixelData=encapsulate([frame[:length]]))
        assert code_of(content) in ("truncated", "corrupt")


@pytest.mark.parametrize("place", range(150, 1500, 50))
def test_a_damaged_lossless_jpeg_is_refused_or_read_and_never_more(place):
    samples = noise(12, False)
    frame = bytearray(codestream(samples, 12, lossless=True, predictor=1))
    frame[place] ^= 0xFF
    content = dicom(samples, uid.JPEGLosslessSV1, bits_stored=12, PixelData=encapsulate([bytes(frame)]))
    result = image_or_code(content)
    assert isinstance(result, str) or result.pixels.shape == samples.shape


def test_a_deflated_file_shows_what_its_plain_twin_shows():
    options = {"rows": 64, "columns": 60}
    content = phantom_dicom(1, **options)
    image = load_image(deflated(content))
    assert np.array_equal(image.pixels, load_image(content).pixels)
    assert image.transfer_syntax == uid.DeflatedExplicitVRLittleEndian


def test_a_deflated_file_cut_anywhere_is_refused():
    content = deflated(phantom_dicom(1, rows=32, columns=30))
    for length in range(140, len(content) - 2, 29):
        assert code_of(content[:length]) in ("truncated", "corrupt", "invalid_dicom")


def test_a_deflated_bomb_is_refused_within_the_bound():
    samples = np.zeros((8, 8), dtype=np.uint8)
    content = dicom(samples, uid.DeflatedExplicitVRLittleEndian, PixelData=bytes(2**27))
    assert len(content) < 2**18
    limits = Limits(max_bytes=2**20, max_pixels=2**20)
    with memory_below(2**23):
        assert code_of(content, limits=limits) == "inflates_too_large"


def test_deflated_content_that_is_no_deflate_stream_is_corrupt():
    content = deflated(phantom_dicom(1, rows=32, columns=30))
    assert code_of(content[:-400] + b"\xff" * 400) in ("corrupt", "truncated")


def frames(count: int, present: int, transfer_syntax=uid.ExplicitVRLittleEndian) -> bytes:
    samples = noise(8, False)
    ds = data_set(samples, NumberOfFrames=count)
    value = samples.tobytes() * present
    if transfer_syntax.is_encapsulated:
        value = encapsulate([codestream(samples, 8, lossless=True, predictor=1)] * present)
    return dicom(
        samples,
        transfer_syntax,
        NumberOfFrames=ds.NumberOfFrames,
        PixelData=value + b"\x00" * (len(value) % 2),
    )


@pytest.mark.parametrize("transfer_syntax", [uid.ExplicitVRLittleEndian, uid.JPEGLosslessSV1])
def test_an_object_is_whole_only_with_all_the_frames_that_it_declares(transfer_syntax):
    check_object(frames(3, 3, transfer_syntax))
    for count, present in ((3, 2), (10**9, 3)):
        with pytest.raises(Exception, match="incomplete") as refused:
            check_object(frames(count, present, transfer_syntax))
        assert refused.value.code == "truncated"
