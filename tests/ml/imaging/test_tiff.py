"""TIFF to pixels."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ml.imaging import FileKind, Limits, load_image, sniff
from tests.ml.imaging.files import image_or_code
from tests.ml.imaging.test_raster import RAMP, encoded
from tests.ml.imaging.test_refused import code_of

RAMP16 = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("samples", [RAMP, RAMP16], ids=["8 bits", "16 bits"])
def test_every_value_is_itself_divided_by_the_highest(samples, compression):
    image = load_image(encoded(Image.fromarray(samples), "TIFF", compression=compression))
    highest = np.float32(np.iinfo(samples.dtype).max)
    assert np.array_equal(image.pixels, samples.astype(np.float32) / highest)
    assert (image.kind, image.bits_stored) == (FileKind.TIFF, 8 * samples.dtype.itemsize)


def tiff(
    samples: np.ndarray,
    *,
    order: str = "<",
    photometric: int = 1,
    bits: int = 16,
    orientation: int = 1,
    deflate: bool = False,
) -> bytes:
    """A TIFF of one strip, written by hand: Pillow writes neither big endian nor WhiteIsZero of 16 bits."""
    data = samples.astype(f"{order}u2").tobytes()
    if deflate:
        data = zlib.compress(data)
    rows, columns = samples.shape
    entries = [
        (256, 3, columns), (257, 3, rows), (258, 3, bits), (259, 3, 8 if deflate else 1), (262, 3, photometric), (273, 4, 8),
        (274, 3, orientation), (277, 3, 1), (278, 3, rows), (279, 4, len(data)),
    ]  # fmt: skip
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(f"{order}L", 8 + len(data))
    directory = struct.pack(f"{order}H", len(entries))
    for tag, kind, value in entries:
        packed = struct.pack(
            f"{order}HH" if kind == 3 else f"{order}L", *((value, 0) if kind == 3 else (value,))
        )
        directory += struct.pack(f"{order}HHL", tag, kind, 1) + packed
    return head + data + directory + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"], ids=["little endian", "big endian"])
def test_both_byte_orders_show_the_same(order):
    assert np.array_equal(
        load_image(tiff(RAMP16, order=order)).pixels, RAMP16.astype(np.float32) / np.float32(65535)
    )


@pytest.mark.parametrize("order", ["<", ">"], ids=["little endian", "big endian"])
def test_where_white_is_zero_the_picture_is_turned_round(order):
    pixels = load_image(tiff(65535 - RAMP16, order=order, photometric=0)).pixels
    assert np.array_equal(pixels, RAMP16.astype(np.float32) / np.float32(65535))


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("order", ["<", ">"], ids=["little endian", "big endian"])
def test_compressed_pictures_of_both_byte_orders_and_polarities_show_the_same(order, photometric):
    samples = RAMP16 if photometric else 65535 - RAMP16
    pixels = load_image(tiff(samples, order=order, photometric=photometric, deflate=True)).pixels
    assert np.array_equal(pixels, RAMP16.astype(np.float32) / np.float32(65535))


def test_white_is_zero_of_8_bits_is_turned_round_too():
    content = bytearray(encoded(Image.fromarray(255 - RAMP), "TIFF"))
    place = content.index(struct.pack("<HHLHH", 262, 3, 1, 1, 0))
    struct.pack_into("<HHLHH", content, place, 262, 3, 1, 0, 0)
    assert np.array_equal(load_image(bytes(content)).pixels, RAMP.astype(np.float32) / np.float32(255))


def test_the_orientation_is_applied_once():
    turned = load_image(tiff(RAMP16[:, :16], orientation=6)).pixels
    assert np.array_equal(turned, np.rot90(RAMP16[:, :16], -1).astype(np.float32) / np.float32(65535))


def test_colour_that_is_grey_in_fact_is_read_and_other_colour_is_not():
    grey = load_image(encoded(Image.fromarray(RAMP).convert("RGB"), "TIFF"))
    assert np.array_equal(grey.pixels, RAMP.astype(np.float32) / np.float32(255))
    assert code_of(encoded(Image.new("RGB", (8, 8), (200, 10, 10)), "TIFF")) == "not_grey"


@pytest.mark.parametrize("mode", ["I", "F"])
def test_samples_of_32_bits_and_floating_point_are_refused(mode):
    assert code_of(encoded(Image.new(mode, (8, 8), 7), "TIFF")) == "unsupported_samples"


def test_several_pages_are_refused():
    pages = [Image.fromarray(RAMP), Image.fromarray(RAMP)]
    assert code_of(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])) == "several_frames"


def test_a_declared_size_over_the_limit_is_refused_before_decoding():
    content = bytearray(tiff(RAMP16))
    for tag in (256, 257):
        place = content.index(struct.pack("<HHLHH", tag, 3, 1, 32, 0))
        struct.pack_into("<HHLHH", content, place, tag, 3, 1, 65535, 0)
    assert code_of(bytes(content)) == "too_many_pixels"
    assert code_of(tiff(RAMP16), limits=Limits(max_pixels=1000)) == "too_many_pixels"


def test_a_tiff_cut_anywhere_is_refused():
    for whole in (tiff(RAMP16), encoded(Image.fromarray(RAMP16), "TIFF", compression="tiff_lzw")):
        load_image(whole)
        for length in range(4, len(whole) - 4, 23):
            assert code_of(whole[:length]) in ("truncated", "corrupt", "too_many_pixels", "unknown_kind"), (
                length
            )


def test_a_directory_that_points_to_itself_ends():
    content = bytearray(tiff(RAMP16))
    content[-4:] = struct.pack("<L", 8 + RAMP16.nbytes)
    assert isinstance(image_or_code(bytes(content)), str) or load_image(bytes(content)).rows == 32


def test_big_tiff_is_not_taken_for_tiff():
    assert sniff(b"II+\x00" + bytes(200)) is None
    assert BytesIO(tiff(RAMP16)).read(4) == b"II*\x00"
