"""DICOM files to pixels: what each element does to a picture of few, known values."""

import logging
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from openjpeg.utils import decode as openjpeg_decode
from openjpeg.utils import encode_array
from pydicom import uid
from pydicom.encaps import encapsulate, get_frame
from pydicom.sequence import Sequence

from ml.imaging import FileKind, ImageRefused, load_image
from ml.imaging.dicom import read_data_set
from ml.phantom import to_file
from tests.ml.imaging.files import QUIET, data_set, dicom, rle
from tests.ml.imaging.test_grey_scale import lut_item

pytestmark = QUIET

RAMP8 = np.array([[0, 51, 102], [153, 204, 255]], dtype=np.uint8)
RAMP12 = np.array([[0, 819, 1638], [2457, 3276, 4095]], dtype=np.uint16)
FIFTHS = np.array([[0, 0.2, 0.4], [0.6, 0.8, 1]])
WHOLE_12_BITS = {"bits_stored": 12, "WindowCenter": 2048, "WindowWidth": 4096}

CASES = {
    "8 bits": (RAMP8, {}),
    "8 bits signed": ((RAMP8.astype(np.int16) - 128).astype(np.int8), {}),
    "12 bits, window": (RAMP12, WHOLE_12_BITS),
    "12 bits signed, window": (
        (RAMP12.astype(np.int32) - 2048).astype(np.int16),
        {"bits_stored": 12, "WindowCenter": 0, "WindowWidth": 4096},
    ),
    "12 bits, no window": (RAMP12 // 2 + 500, {"bits_stored": 12}),
    "12 bits, P-values": (RAMP12, {"bits_stored": 12, "PresentationLUTShape": "IDENTITY"}),
    "12 bits under an old overlay": (RAMP12 | 0xA000, WHOLE_12_BITS),
    "window width 0, which devices write for none": (
        RAMP12,
        {"bits_stored": 12, "WindowCenter": 0, "WindowWidth": 0},
    ),
    "empty window": (RAMP12, {"bits_stored": 12, "WindowCenter": "", "WindowWidth": ""}),
    "rescaled": (
        RAMP12,
        {
            "bits_stored": 12,
            "RescaleSlope": 2,
            "RescaleIntercept": -1,
            "WindowCenter": 4094.5,
            "WindowWidth": 8191,
        },
    ),
    "voi table": (
        np.array([[0, 1, 2], [3, 4, 5]], dtype=np.uint16),
        {"VOILUTSequence": lut_item(0, [0, 51, 102, 153, 204, 255], bits=8)},
    ),
    "modality table": (
        np.array([[5, 4, 3], [2, 1, 0]], dtype=np.uint16),
        {
            "ModalityLUTSequence": lut_item(0, [500, 400, 300, 200, 100, 0]),
            "WindowCenter": 250.5,
            "WindowWidth": 501,
        },
    ),
}


@pytest.mark.parametrize(("samples", "options"), CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    "transfer_syntax",
    [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian],
    ids=["implicit", "explicit"],
)
def test_stored_values_become_the_grey_they_stand_for(samples, options, photometric, transfer_syntax):
    image = load_image(dicom(samples, transfer_syntax, photometric=photometric, **options))
    expected = FIFTHS if photometric == "MONOCHROME2" else 1 - FIFTHS
    assert image.pixels == pytest.approx(expected, abs=2e-4)


def test_the_image_says_what_it_is():
    image = load_image(dicom(RAMP12, **WHOLE_12_BITS))
    assert image.pixels.dtype == np.float32
    assert image.pixels.flags.c_contiguous
    assert not image.pixels.flags.writeable
    assert (image.rows, image.columns, image.kind, image.bits_stored) == (2, 3, FileKind.DICOM, 12)
    assert image.photometric_interpretation == "MONOCHROME2"
    assert image.transfer_syntax == uid.ExplicitVRLittleEndian
    assert image.grey_mapping == "LINEAR 2048/4096"


def test_the_data_set_is_never_written_to(monkeypatch):
    content = dicom(RAMP12, RescaleSlope=2, RescaleIntercept=0, PixelPaddingValue=7, **WHOLE_12_BITS)
    seen = []

    def remember(data):
        seen.append(read_data_set(data))
        return seen[-1]

    monkeypatch.setattr("ml.imaging.dicom.read_data_set", remember)
    load_image(content)
    assert to_file(seen[0], uid.ExplicitVRLittleEndian) == to_file(
        pydicom.dcmread(BytesIO(content)), uid.ExplicitVRLittleEndian
    )


def test_an_8_bit_dicom_without_a_window_shows_what_its_png_would():
    # Its values do not fill their range; stretched, it would differ from the PNG of the same picture.
    samples = np.array([[100, 150]], dtype=np.uint8)
    assert load_image(dicom(samples)).pixels == pytest.approx(samples / 255)


def test_monochrome1_with_its_inverse_presentation_shape_is_inverted_once():
    content = dicom(RAMP8, photometric="MONOCHROME1", PresentationLUTShape="INVERSE")
    assert load_image(content).pixels == pytest.approx(1 - FIFTHS)


def test_monochrome1_with_an_identity_shape_is_inverted_as_its_photometric_interpretation_says():
    content = dicom(RAMP8, photometric="MONOCHROME1", PresentationLUTShape="IDENTITY")
    assert load_image(content).pixels == pytest.approx(1 - FIFTHS)


@pytest.mark.parametrize("padding", [-2000, 63536], ids=["as SS", "as US, a common slip"])
def test_padding_is_left_out_of_a_signed_image(padding):
    samples = np.array([[-2000, 0, 50, 100]], dtype=np.int16)
    ds = data_set(samples)
    ds.add_new("PixelPaddingValue", "US" if padding > 0 else "SS", padding)
    assert load_image(to_file(ds, uid.ExplicitVRLittleEndian)).pixels.tolist() == [[0, 0, 0.5, 1]]


def test_a_padding_range_includes_both_its_ends():
    samples = np.array([[0, 10, 20, 100, 200]], dtype=np.uint16)
    content = dicom(samples, PixelPaddingValue=0, PixelPaddingRangeLimit=20)
    assert load_image(content).pixels.tolist() == [[0, 0, 0, 0, 1]]


def with_lut_data(descriptor, vr, data, **elements):
    ds = data_set(np.array([[0, 1, 2]], dtype=np.uint16), **elements)
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US", descriptor)
    item.add_new("LUTData", vr, data)
    ds.VOILUTSequence = Sequence([item])
    return ds


@pytest.mark.parametrize(
    ("vr", "data"),
    [
        ("OW", bytes([0, 0, 51, 0, 255, 0])),
        ("OW", bytes([0, 51, 255, 0])),
        ("US", [0, 51, 255]),
        ("US", [0 | 51 << 8, 255]),
    ],
    ids=["bytes in words", "packed bytes", "numbers", "packed numbers"],
)
def test_table_entries_of_8_bits_are_read_however_they_are_packed(vr, data):
    content = to_file(with_lut_data([3, 0, 8], vr, data), uid.ExplicitVRLittleEndian)
    assert load_image(content).pixels == pytest.approx(np.array([[0, 0.2, 1]]))


def test_a_table_in_a_big_endian_file_is_read_in_its_own_byte_order():
    ds = with_lut_data([3, 0, 16], "OW", np.array([0, 13107, 65535], dtype=">u2").tobytes())
    ds.PixelData = np.array([[0, 1, 2]], dtype=">u2").tobytes()
    assert load_image(to_file(ds, uid.ExplicitVRBigEndian)).pixels == pytest.approx(np.array([[0, 0.2, 1]]))


def test_a_table_of_65536_entries_says_0_of_them():
    samples = np.array([[0, 13107, 65535]], dtype=np.uint16)
    ds = data_set(samples)
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US", [0, 0, 16])
    item.add_new("LUTData", "OW", np.arange(65536, dtype="<u2").tobytes())
    ds.VOILUTSequence = Sequence([item])
    assert load_image(to_file(ds, uid.ImplicitVRLittleEndian)).pixels == pytest.approx(
        np.array([[0, 0.2, 1]])
    )


def test_a_table_after_a_negative_rescale_begins_below_zero_even_where_its_vr_is_unsigned():
    ds = with_lut_data([3, 65535, 8], "US", [0, 51, 255], RescaleSlope=1, RescaleIntercept=-1)
    assert load_image(to_file(ds, uid.ExplicitVRLittleEndian)).pixels == pytest.approx(
        np.array([[0, 0.2, 1]])
    )


GREY_RGB = np.repeat(RAMP8[..., None], 3, axis=2)


@pytest.mark.parametrize(
    "transfer_syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless], ids=["native", "rle"]
)
def test_rgb_that_is_grey_in_fact_is_read(transfer_syntax):
    options = {"PixelData": rle(GREY_RGB)} if transfer_syntax == uid.RLELossless else {}
    content = dicom(GREY_RGB, transfer_syntax, photometric="RGB", **options)
    assert load_image(content).pixels == pytest.approx(FIFTHS)


def test_ybr_without_colour_is_read():
    ybr = np.stack([RAMP8, np.full_like(RAMP8, 128), np.full_like(RAMP8, 128)], axis=-1)
    assert load_image(dicom(ybr, photometric="YBR_FULL")).pixels == pytest.approx(FIFTHS)


def test_one_coloured_pixel_makes_an_image_coloured():
    coloured = GREY_RGB.copy()
    coloured[1, 1] = (204, 150, 204)
    with pytest.raises(ImageRefused) as refused:
        load_image(dicom(coloured, photometric="RGB"))
    assert refused.value.code == "not_grey"


def shipped(name: str) -> Path:
    """A file of pydicom's own tests, from its wheel."""
    return Path(pydicom.__file__).parent / "data" / "test_files" / name


@pytest.mark.parametrize("name", ["693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm", "MR_small_jp2klossless.dcm"])
def test_jpeg_2000_samples_equal_those_of_another_decoder(name):
    path = shipped(name)
    ds = pydicom.dcmread(path)
    independent = openjpeg_decode(get_frame(ds.PixelData, 0, number_of_frames=1)).astype(np.int64)
    if ds.PixelRepresentation:
        independent = ((independent + 2 ** (ds.BitsStored - 1)) % 2**ds.BitsStored) - 2 ** (ds.BitsStored - 1)
    units = independent * float(ds.get("RescaleSlope", 1)) + float(ds.get("RescaleIntercept", 0))
    center, width = (float(np.atleast_1d(number)[0]) for number in (ds.WindowCenter, ds.WindowWidth))
    expected = np.clip((units - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    pixels = np.array(load_image(path).pixels)
    padding = ds.get("PixelPaddingValue")
    if padding is not None:
        expected[independent == padding] = 0
    assert np.abs(pixels - expected).max() < 1e-6


@pytest.mark.parametrize(
    "kind", ["RLE", "bigendian", "implicit", "jp2klossless", "jpeg_ls_lossless", "padded", "expb"]
)
def test_one_image_in_many_transfer_syntaxes_is_one_picture(kind):
    expected = load_image(shipped("MR_small.dcm"))
    image = load_image(shipped(f"MR_small_{kind}.dcm"))
    assert np.array_equal(image.pixels, expected.pixels)


def test_a_jpeg_2000_stream_of_signed_samples_in_an_unsigned_image_is_refused():
    signed = np.tile(np.array([-100, 100], dtype=np.int16), (64, 32))
    content = dicom(
        signed.view(np.uint16),
        uid.JPEG2000Lossless,
        PixelData=encapsulate([encode_array(signed, bits_stored=16)]),
    )
    with pytest.raises(ImageRefused) as refused:
        load_image(content)
    assert refused.value.code == "corrupt"


def test_nothing_of_a_file_reaches_the_log_or_the_sentence(caplog, recwarn):
    secret = "Verysecret^Name"
    samples = np.arange(64, dtype=np.uint16).reshape(8, 8)
    content = dicom(samples, PatientName=secret, WindowCenter="", PatientID=secret).replace(
        b"1.2.3.4\x00", b"x.y.z.w\x00"
    )
    ds = pydicom.dcmread(BytesIO(content))
    ds.add_new("WindowCenter", "LO", secret)
    ds.add_new("WindowWidth", "LO", secret)
    with caplog.at_level(logging.DEBUG), pytest.raises(ImageRefused) as refused:
        load_image(to_file(ds, uid.ImplicitVRLittleEndian))
    assert refused.value.code == "corrupt"
    written = caplog.text + "".join(str(warning.message) for warning in recwarn.list) + str(refused.value)
    assert "Unreadable image: ValueError" in caplog.text
    assert "Verysecret" not in written
