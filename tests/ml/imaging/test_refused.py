"""What must not become an image, and what the person is told."""

import ast
import string
import struct
import time
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

import ml.imaging
import ml.serving
from ml.imaging import REFUSALS, ImageRefused, Limits, check_image, load_image, refusal, sniff
from ml.phantom import TRANSFER_SYNTAXES, Greys, phantom_dicom, phantom_jpeg, phantom_png, to_file
from ml.serving.gate import REASONS
from tests.ml.imaging.files import QUIET, data_set, dicom, image_or_code, memory_below
from tests.ml.imaging.test_grey_scale import lut_item

pytestmark = QUIET

SAMPLES = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def code_of(content: bytes | Path, **options) -> str:
    """That of `load_image`, and `check_image` has the same."""
    codes = [_code_of(read, content, options) for read in (load_image, check_image)]
    assert codes[0] == codes[1]
    return codes[0]


def _code_of(read, content, options):
    try:
        read(content, **options)
    except (
        ImageRefused
    ) as refused:  # Not kept, as pytest.raises would with all that the reader held: some measure memory.
        return refused.code
    pytest.fail("It was not refused.")


TEXT = b"Dear colleague, please find the X-ray enclosed. " * 10


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (TEXT, "unknown_kind"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unknown_kind"),
        (b"PK\x03\x04" + bytes(200), "unknown_kind"),
        (b"%PDF-1.7" + bytes(200), "unknown_kind"),
        (b"MZ" + bytes(200), "unknown_kind"),
        (b"BM" + bytes(200), "unknown_kind"),
        (bytes(128) + b"DICM", "invalid_dicom"),
        (bytes(128) + b"DICM" + TEXT, "invalid_dicom"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"\xff\xd8\xff", "truncated"),
    ],
)
def test_a_file_is_judged_by_its_content_alone(tmp_path, content, code):
    path = tmp_path / "chest.dcm"
    path.write_bytes(content)
    assert code_of(path) == code_of(content) == code


def test_a_dicom_file_without_its_prefix_is_not_guessed_at():
    content = dicom(SAMPLES)
    assert sniff(content[:132]) == "dicom"
    assert sniff(content[:131]) is None
    assert code_of(content[128:]) == "unknown_kind"


@pytest.mark.parametrize(
    "start",
    [b"\x89PNG\r\n\x1a\n", b"MZ\x90", b"\x7fELF", b"<html><script>", b"  <svg", b"PK\x03\x04", b"#!/bin/sh"],
)
def test_a_file_that_is_dicom_and_something_else_too_is_refused(start):
    assert code_of(start + dicom(SAMPLES)[len(start) :]) == "two_formats"


@pytest.mark.parametrize("start", [b"II*\x00", b"MM\x00*", b"a text that a device left here"])
def test_a_preamble_may_hold_a_tiff_header_or_anything_harmless(start):
    assert load_image(start + dicom(SAMPLES)[len(start) :]).kind == "dicom"


def test_a_missing_file_is_no_fault_of_the_image(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_image(tmp_path / "none.png")


def test_a_file_over_the_limit_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(2**33)
    with memory_below(2**22):
        assert code_of(path, limits=Limits(max_bytes=2**20)) == "too_large"


def forged_png(columns: int, rows: int) -> bytes:
    content = bytearray(phantom_png(1, rows=64, columns=64))
    struct.pack_into(">II", content, 16, columns, rows)
    struct.pack_into(">I", content, 29, zlib.crc32(content[12:29]))
    return bytes(content)


def forged_jpeg(columns: int, rows: int) -> bytes:
    content = bytearray(phantom_jpeg(1, rows=64, columns=64))
    start = content.index(b"\xff\xc0")
    struct.pack_into(">HH", content, start + 5, rows, columns)
    return bytes(content)


def forged_dicom(rows: int, columns: int, transfer_syntax=uid.ExplicitVRLittleEndian) -> bytes:
    return phantom_dicom(
        1, rows=64, columns=64, transfer_syntax=transfer_syntax, elements={"Rows": rows, "Columns": columns}
    )


@pytest.mark.parametrize(
    "content",
    [
        forged_png(60_000, 60_000),
        forged_jpeg(65_500, 65_500),
        forged_dicom(65_535, 65_535),
        forged_dicom(65_535, 65_535, uid.RLELossless),
        forged_dicom(65_535, 65_535, uid.JPEG2000Lossless),
    ],
    ids=["png", "jpeg", "dicom", "dicom rle", "dicom jpeg 2000"],
)
def test_a_forged_size_is_refused_at_once_and_without_memory(content):
    with memory_below(2**24):
        begin = time.perf_counter()
        assert code_of(content) == "too_many_pixels"
        assert time.perf_counter() - begin < 1


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES, ids=lambda syntax: syntax.name)
def test_a_size_that_the_pixels_do_not_have_is_refused(transfer_syntax):
    bits = {"bits_stored": 8} if transfer_syntax == uid.JPEGBaseline8Bit else {}
    for size in ({"Rows": 80}, {"Columns": 80}, {"Rows": 48}):
        content = phantom_dicom(
            1, rows=64, columns=64, transfer_syntax=transfer_syntax, elements=size, **bits
        )
        if not transfer_syntax.is_encapsulated and size == {"Rows": 48}:
            continue  # Native pixel data may be followed by padding (PS3.5 8.1.1).
        assert code_of(content) in ("truncated", "corrupt")


@pytest.mark.parametrize("transfer_syntax", [uid.JPEGLSLossless, uid.JPEG2000Lossless, uid.JPEGBaseline8Bit])
def test_a_codestream_of_another_size_than_its_data_set_says_is_not_decoded(monkeypatch, transfer_syntax):
    bits = 8 if transfer_syntax == uid.JPEGBaseline8Bit else 12
    large = phantom_dicom(1, rows=256, columns=256, transfer_syntax=transfer_syntax, bits_stored=bits)
    ds = pydicom.dcmread(BytesIO(large))
    ds.Rows = ds.Columns = 64
    decoded = []
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.as_array", lambda *_, **__: decoded.append(1))
    assert code_of(to_file(ds, transfer_syntax)) == "corrupt"
    assert not decoded


def test_uncompressed_pixels_shorter_than_the_header_says_are_cut():
    assert code_of(dicom(SAMPLES, PixelData=SAMPLES.tobytes()[:-2])) == "truncated"


def test_an_item_that_runs_past_the_pixel_data_is_found_even_where_its_codestream_is_whole():
    ds = pydicom.dcmread(BytesIO(phantom_dicom(2, rows=40, columns=36, transfer_syntax=uid.JPEGLSLossless)))
    value = bytearray(ds.PixelData)
    at = 8 + 4 + 4  # After the offset table's item with its one offset, and the tag of the codestream's item.
    length = struct.unpack_from("<L", value, at)[0]
    struct.pack_into("<L", value, at, length + 8)
    ds.PixelData = bytes(value)
    assert code_of(to_file(ds, uid.JPEGLSLossless)) == "truncated"
    struct.pack_into("<L", value, at, length)
    ds.PixelData = bytes(value) + b"\x00" * 8
    assert code_of(to_file(ds, uid.JPEGLSLossless)) == "corrupt"


def test_an_rle_bomb_expands_no_further_than_the_image():
    # 2 bytes become 128: 2 MB would become 128 MB, and 64 MB become 4 GB.
    segment = b"\x81\x00" * 2**20
    frame = struct.pack("<16L", 1, 64, *[0] * 14) + segment
    content = dicom(np.zeros((64, 64), dtype=np.uint8), uid.RLELossless, PixelData=encapsulate([frame]))
    with memory_below(2**24):
        assert code_of(content) == "corrupt"


def transfer_syntax_element(value: uid.UID) -> bytes:
    padded = value.encode() + b"\x00" * (len(value) % 2)
    return struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", len(padded)) + padded


@pytest.mark.parametrize(
    ("transfer_syntax", "code", "words"),
    [
        (uid.HTJ2KLossless, "unsupported_transfer_syntax", "High-Throughput JPEG 2000"),
        (uid.MPEG2MPML, "unsupported_transfer_syntax", "MPEG2"),
        (uid.UID("1.2.3.4.5"), "unsupported_transfer_syntax", "1.2.3.4.5"),
    ],
    ids=["HTJ2K", "MPEG", "unknown"],
)
def test_an_encoding_that_cannot_be_read_is_named(transfer_syntax, code, words):
    ds = data_set(SAMPLES, PixelData=encapsulate([b"1234"]))
    ds["PixelData"].VR = "OB"
    content = to_file(ds, uid.JPEG2000).replace(
        transfer_syntax_element(uid.JPEG2000), transfer_syntax_element(transfer_syntax)
    )
    with pytest.raises(ImageRefused, match=words) as refused:
        load_image(content)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"PixelData": None}, "no_pixel_data"),
        ({"Rows": None}, "invalid_dicom"),
        ({"Rows": 0}, "invalid_dicom"),
        ({"BitsStored": 17}, "invalid_dicom"),
        ({"BitsStored": 0}, "invalid_dicom"),
        ({"HighBit": 11}, "unsupported_samples"),
        ({"BitsAllocated": 32}, "unsupported_samples"),
        ({"BitsAllocated": 1}, "unsupported_samples"),
        ({"PixelRepresentation": 2}, "invalid_dicom"),
        ({"PixelRepresentation": None}, "invalid_dicom"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "not_grey"),
        ({"PhotometricInterpretation": "RGB"}, "not_grey"),
        ({"PhotometricInterpretation": "PINK"}, "invalid_dicom"),
        ({"PhotometricInterpretation": None}, "invalid_dicom"),
        ({"SamplesPerPixel": 4}, "not_grey"),
        ({"NumberOfFrames": 2}, "several_frames"),
        ({"NumberOfFrames": 10**9}, "several_frames"),
        ({"NumberOfFrames": 0}, "invalid_dicom"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "for_processing"),
        ({"PresentationLUTShape": "INVERSE"}, "contradictory_polarity"),
        ({"RescaleSlope": 2}, "invalid_dicom"),
        ({"RescaleSlope": 0, "RescaleIntercept": 1}, "invalid_dicom"),
        ({"WindowCenter": 1, "WindowWidth": 0.5}, "invalid_dicom"),
        ({"WindowCenter": 1, "WindowWidth": -3}, "invalid_dicom"),
        ({"WindowCenter": 1, "WindowWidth": 5, "VOILUTFunction": "CUBIC"}, "invalid_dicom"),
        ({"VOILUTSequence": lut_item(0, [1, 2, 300], bits=8)}, "invalid_dicom"),
        ({"VOILUTSequence": lut_item(0, [1, 2, 3], bits=17)}, "invalid_dicom"),
    ],
    ids=str,
)  # fmt: skip
def test_a_header_that_contradicts_itself_is_refused(elements, code):
    assert code_of(dicom(SAMPLES, **elements)) == code


def test_a_table_shorter_than_it_says_is_refused():
    ds = data_set(SAMPLES)
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US", [100, 0, 16])
    item.add_new("LUTData", "OW", bytes(60))
    ds.VOILUTSequence = Sequence([item])
    assert code_of(to_file(ds, uid.ExplicitVRLittleEndian)) == "invalid_dicom"


def test_rows_of_another_vr_are_not_believed():
    ds = data_set(SAMPLES)
    ds.add_new("Rows", "UL", 64)
    assert code_of(to_file(ds, uid.ExplicitVRLittleEndian)) == "invalid_dicom"
    ds.add_new("Rows", "US", [64, 64])
    assert code_of(to_file(ds, uid.ExplicitVRLittleEndian)) == "invalid_dicom"


def test_floating_point_pixels_are_refused():
    ds = data_set(SAMPLES, PixelData=None)
    ds.FloatPixelData = np.zeros((64, 64), dtype=np.float32).tobytes()
    assert code_of(to_file(ds, uid.ExplicitVRLittleEndian)) == "unsupported_samples"


def test_sequences_nested_without_end_are_refused():
    begin = struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    content = dicom(SAMPLES)
    meta_end = content.index(b"\x08\x00\x16\x00")
    assert code_of(content[:meta_end] + begin * 5000 + content[meta_end:]) in ("corrupt", "truncated")


ONE_OF_EACH = {
    f"{syntax.name}": phantom_dicom(
        2,
        rows=40,
        columns=36,
        transfer_syntax=syntax,
        bits_stored=8 if syntax == uid.JPEGBaseline8Bit else 12,
    )
    for syntax in TRANSFER_SYNTAXES
}


@pytest.mark.parametrize("content", ONE_OF_EACH.values(), ids=ONE_OF_EACH.keys())
def test_a_dicom_file_cut_anywhere_is_refused(content):
    load_image(content)
    for length in range(1, len(content)):
        assert code_of(content[:length]) in (
            "unknown_kind",
            "truncated",
            "invalid_dicom",
            "no_pixel_data",
            "corrupt",
        ), length


def test_only_what_follows_the_image_may_be_missing():
    ds = data_set(SAMPLES)
    ds.add_new(0xFFFCFFFC, "OB", bytes(100))  # Data Set Trailing Padding
    content = to_file(ds, uid.ExplicitVRLittleEndian)
    whole = load_image(content).pixels
    padding = len(content) - 112
    assert code_of(content[:-1]) == "truncated"
    assert code_of(content[: padding - 1]) == "truncated"
    for length in range(padding, padding + 8):
        assert np.array_equal(load_image(content[:length]).pixels, whole)


def test_a_cut_inside_the_codestream_is_found_even_where_its_wrapping_is_whole():
    for syntax in (uid.JPEGLSLossless, uid.JPEG2000Lossless, uid.RLELossless):
        ds = pydicom.dcmread(BytesIO(phantom_dicom(2, rows=40, columns=36, transfer_syntax=syntax)))
        frame = next(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1))
        for length in range(2, len(frame) - 2, 17):
            ds.PixelData = encapsulate([frame[:length]])
            expected = "corrupt" if syntax == uid.RLELossless else "truncated"
            assert code_of(to_file(ds, syntax)) == expected, (syntax.name, length)


SHIPPED = sorted(
    path for path in (Path(pydicom.__file__).parent / "data" / "test_files").rglob("*") if path.is_file()
)


def test_of_every_file_that_pydicom_ships_only_a_refusal_leaves():
    read = {}
    for path in SHIPPED:
        image = image_or_code(path)
        if isinstance(image, str):
            assert image in REFUSALS
            continue
        assert 0 <= image.pixels.min() <= image.pixels.max() <= 1
        read[path.name] = image
    assert len(SHIPPED) > 80
    assert {"CT_small.dcm", "MR_small_RLE.dcm", "693_J2KI.dcm", "JPEGLSNearLossless_16.dcm"} <= read.keys()
    assert not {name for name in read if "rgb" in name or "palette" in name or "2frame" in name}


SEEDS = [
    phantom_png(3, rows=32, columns=32),
    phantom_jpeg(3, rows=32, columns=32),
    *(
        phantom_dicom(3, rows=32, columns=32, greys=greys, transfer_syntax=syntax)
        for greys, syntax in (
            (Greys.WINDOW, uid.ExplicitVRLittleEndian),
            (Greys.VOI_LUT, uid.ImplicitVRLittleEndian),
            (Greys.RESCALE, uid.ExplicitVRBigEndian),
            (Greys.SIGMOID, uid.RLELossless),
            (Greys.WINDOW, uid.JPEG2000Lossless),
            (Greys.WINDOW, uid.JPEGLSLossless),
        )
    ),
]


@settings(max_examples=400, deadline=None)
@given(
    content=st.sampled_from(SEEDS),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=6)), max_size=4
    ),
    header_alone=st.booleans(),
)
def test_of_a_mutated_file_only_a_refusal_leaves(content, changes, header_alone):
    mutated = bytearray(content)
    for place, replacement in changes:
        start = int(place * (min(len(mutated), 1800) if header_alone else len(mutated)))
        mutated[start : start + len(replacement)] = replacement
    image = image_or_code(bytes(mutated))
    if isinstance(image, str):
        assert image in REFUSALS
    else:
        assert np.isfinite(image.pixels).all()
        assert 0 <= image.pixels.min() <= image.pixels.max() <= 1


def raised_codes() -> set[str]:
    """The first argument of every call of `refusal` in the packages that refuse, and the gate's own reasons."""
    codes = {code for code, _ in REASONS.values()}
    for path in (
        file for package in (ml.imaging, ml.serving) for file in Path(package.__file__).parent.glob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "refusal":
                codes |= {
                    leaf.value for leaf in ast.walk(node.args[0]) if isinstance(leaf, ast.Constant)
                } & set(REFUSALS)
                assert codes, path
    return codes


def test_every_code_has_its_sentence_and_every_sentence_its_use():
    assert raised_codes() == set(REFUSALS)


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_is_two_sentences_or_more_and_survives_another_process(code):
    fields = {name for _, name, _, _ in string.Formatter().parse(REFUSALS[code]) if name}
    refused = refusal(code, **dict.fromkeys(fields, 7))
    sentence = str(refused)
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert sentence.count(". ") >= 1
    # How an exception is rebuilt on the other side of a process boundary.
    rebuild, arguments, *_ = refused.__reduce__()
    again = rebuild(*arguments)
    assert (again.code, str(again)) == (code, sentence)
