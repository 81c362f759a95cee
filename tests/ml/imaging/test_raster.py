"""PNG and JPEG to pixels."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from ml.imaging import FileKind, ImageRefused, load_image
from ml.phantom import phantom_jpeg, phantom_png
from tests.ml.imaging.files import image_or_code

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def refusal_code(content: bytes) -> str:
    with pytest.raises(ImageRefused) as refused:
        load_image(content)
    return refused.value.code


def test_every_8_bit_value_is_itself_divided_by_255():
    image = load_image(encoded(Image.fromarray(RAMP)))
    assert np.array_equal(image.pixels, RAMP.astype(np.float32) / np.float32(255))
    assert (image.kind, image.bits_stored, image.transfer_syntax) == (FileKind.PNG, 8, None)


def test_every_16_bit_value_is_itself_divided_by_65535():
    samples = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    image = load_image(encoded(Image.fromarray(samples)))
    assert np.array_equal(image.pixels, samples.astype(np.float32) / np.float32(65535))
    assert image.bits_stored == 16


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_a_png_that_is_grey_in_fact_is_read_whatever_its_mode(mode):
    image = load_image(encoded(Image.fromarray(RAMP).convert(mode)))
    assert np.array_equal(image.pixels, RAMP.astype(np.float32) / np.float32(255))


def test_a_black_and_white_png_is_read():
    bits = (RAMP > 127).astype(np.uint8) * 255
    assert np.array_equal(load_image(encoded(Image.fromarray(bits).convert("1"))).pixels, bits / 255)


def grey_png(bits: int, rows: list[bytes], width: int) -> bytes:
    """A grey PNG of few bits, which Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, len(rows), bits, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\x00" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_samples_of_2_bits_span_black_to_white():
    image = load_image(grey_png(2, [bytes([0b00011011])], 4))
    assert image.pixels == pytest.approx(np.array([[0, 1, 2, 3]]) / 3)


def test_a_jpeg_of_the_drawn_chest_is_close_to_its_png():
    png = load_image(phantom_png(1, rows=256, columns=256)).pixels
    jpeg = load_image(phantom_jpeg(1, rows=256, columns=256))
    assert np.abs(jpeg.pixels - png).mean() < 0.005
    assert jpeg.kind is FileKind.JPEG


@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_grey_image_saved_as_a_colour_jpeg_is_read(subsampling):
    grey = Image.open(BytesIO(phantom_png(1, rows=128, columns=128)))
    colour = encoded(grey.convert("RGB"), "JPEG", quality=75, subsampling=subsampling)
    assert np.abs(load_image(colour).pixels - np.asarray(grey) / 255).mean() < 0.02


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_small_coloured_mark_makes_an_image_coloured(kind):
    marked = Image.open(BytesIO(phantom_png(1, rows=128, columns=128))).convert("RGB")
    marked.paste((255, 0, 0), (60, 60, 66, 62))
    assert refusal_code(encoded(marked, kind)) == "not_grey"


def test_a_cmyk_jpeg_is_coloured():
    assert refusal_code(encoded(Image.new("CMYK", (8, 8)), "JPEG")) == "not_grey"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_cameras_orientation_is_applied(orientation):
    upright = np.zeros((24, 16), dtype=np.uint8)
    upright[:8, :8] = 255
    upright[16:, :] = 120
    # How a camera held that way would have stored it: the operation that undoes the orientation, undone.
    exif = Image.Exif()
    undo = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    exif[0x0112] = undo[orientation]
    stored = Image.fromarray(upright)
    stored.info["exif"] = exif.tobytes()
    stored = ImageOps.exif_transpose(stored)
    exif[0x0112] = orientation
    content = encoded(stored, "JPEG", quality=100, exif=exif)
    assert load_image(content).pixels == pytest.approx(upright / 255, abs=0.02)


def test_transparency_that_hides_something_is_refused_and_full_opacity_is_not():
    alpha = np.full((16, 16), 255, dtype=np.uint8)
    image = Image.fromarray(RAMP).convert("LA")
    image.putalpha(Image.fromarray(alpha))
    load_image(encoded(image))
    alpha[3, 3] = 254
    image.putalpha(Image.fromarray(alpha))
    assert refusal_code(encoded(image)) == "transparent"


@pytest.mark.parametrize("samples", [RAMP, RAMP.astype(np.uint16) * 257], ids=["8 bits", "16 bits"])
def test_a_grey_value_declared_transparent_counts_where_it_occurs(samples):
    image = Image.fromarray(samples)
    assert refusal_code(encoded(image, transparency=int(samples[2, 2]))) == "transparent"
    load_image(encoded(Image.fromarray(samples // 2), transparency=int(samples[-1, -1])))


def test_an_animated_png_is_several_images():
    frames = [Image.fromarray(RAMP), Image.fromarray(255 - RAMP)]
    assert refusal_code(encoded(frames[0], save_all=True, append_images=frames[1:])) == "several_frames"


def test_of_a_phones_multi_picture_jpeg_the_first_is_read():
    first, second = Image.fromarray(RAMP), Image.fromarray(255 - RAMP)
    content = encoded(first, "MPO", save_all=True, append_images=[second], quality=100)
    assert load_image(content).pixels == pytest.approx(RAMP / 255, abs=0.02)


def test_a_flipped_bit_in_a_png_is_found_by_its_checksum():
    content = bytearray(phantom_png(1, rows=64, columns=64))
    content[len(content) // 2] ^= 4
    assert refusal_code(bytes(content)) == "corrupt"


@pytest.mark.parametrize("content", [
    phantom_png(2, rows=48, columns=40),
    phantom_jpeg(2, rows=48, columns=40),
    encoded(Image.open(BytesIO(phantom_png(2, rows=48, columns=40))), "JPEG", progressive=True),
], ids=["png", "jpeg", "progressive jpeg"])  # fmt: skip
def test_a_raster_cut_anywhere_is_refused_or_whole(content):
    whole = load_image(content).pixels
    accepted = []
    for length in range(1, len(content)):
        image = image_or_code(content[:length])
        if isinstance(image, str):
            assert image in ("truncated", "unknown_kind", "corrupt"), length
        else:
            assert np.array_equal(image.pixels, whole)
            accepted.append(length)
    # Nothing may be missing but the end marker of a JPEG, or the checksum of the empty chunk that ends a PNG.
    assert all(length >= len(content) - 4 for length in accepted)
