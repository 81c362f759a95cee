"""Whatever comes in: a sentence with the reason, nothing half-stored, the process alive, its memory bounded."""

import json
import resource
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from django.core.files.storage import default_storage
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from pydicom import uid
from pydicom.datadict import dictionary_VR, tag_for_keyword

from diagnosis.intake.analysable import why_not_analysed
from diagnosis.intake.decoder import examine_apart, processes
from diagnosis.intake.dicom_header import TAGS, read_few
from diagnosis.intake.examine import ExaminedFile, examine
from diagnosis.limits import image_limits
from diagnosis.models import DecodeCrash, HeldFile, Image, IncomingFile, Patient, Study
from diagnosis.services.studies import FileOutcome, header_columns
from ml.imaging import REFUSALS, ImageRefused, Limits
from ml.phantom import TRANSFER_SYNTAXES, phantom_dicom, phantom_jpeg, phantom_png
from tests.intake.test_rules import described_as
from tests.ml.imaging.files import QUIET, deflated, real_dicom
from tests.web.files import dicom

pytestmark = QUIET

SMALL = {"rows": 48, "columns": 40}
PYDICOMS = sorted(
    path for path in (Path(pydicom.__file__).parent / "data" / "test_files").rglob("*") if path.is_file()
)
#: What a decoder's process may take at its peak.
MOST_MEMORY = 600 * 2**20


def tiff() -> bytes:
    file = BytesIO()
    PillowImage.open(BytesIO(phantom_png(3, **SMALL))).save(file, format="TIFF", compression="tiff_lzw")
    return file.getvalue()


def one_of_each() -> dict[str, bytes]:
    """A small file of every kind that is read."""
    drawn = {
        syntax.name: phantom_dicom(
            3, transfer_syntax=syntax, bits_stored=8 if syntax == uid.JPEGBaseline8Bit else 12, **SMALL
        )
        for syntax in TRANSFER_SYNTAXES
    }
    return {
        **drawn,
        "deflated": deflated(phantom_dicom(3, **SMALL)),
        "PNG": phantom_png(3, **SMALL),
        "JPEG": phantom_jpeg(3, **SMALL),
        "TIFF": tiff(),
    }


KINDS = one_of_each()


def examined_or_code(content: bytes, examiner: Callable[[bytes], ExaminedFile]) -> ExaminedFile | str:
    """What it makes of the file, or the code of the refusal; any other exception leaves."""
    try:
        return examiner(content)
    except ImageRefused as refused:
        return refused.code


def peak_memory() -> int:
    """Of the decoder that waits for the next file, in bytes."""
    with processes.one() as process:
        status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def nothing_is_stored(stored_files) -> bool:
    records = (Image, HeldFile, IncomingFile, Patient, Study)
    return not stored_files() and not any(model.objects.exists() for model in records)


def is_refused_cleanly(receipt) -> bool:
    return (
        receipt.outcome is FileOutcome.REFUSED
        and receipt.code in REFUSALS
        and str(receipt.reason).endswith(".")
        and str(receipt.reason).count(". ") >= 1
    )


def test_every_file_that_pydicom_ships_is_stored_held_or_refused_with_its_reason(receive, stored_files):
    outcomes = {}
    for path in PYDICOMS:
        receipt = receive(path, path.name)
        assert receipt.code != "technical_error", (path.name, receipt.reason)
        assert receipt.outcome is FileOutcome.STORED or receipt.reason, path.name
        outcomes[path.name] = receipt
    assert len(PYDICOMS) > 80
    # No chest is among them.
    assert outcomes["CT_small.dcm"].image.not_analysed_code == "wrong_modality"
    # The same slice with other compression: linked, not stored again.
    same_slice = [outcomes[name] for name in ("MR_small.dcm", "MR_small_RLE.dcm")]
    assert {receipt.outcome for receipt in same_slice} <= {FileOutcome.STORED, FileOutcome.DUPLICATE}
    assert same_slice[0].image == same_slice[1].image
    assert not DecodeCrash.objects.exists()
    named = set()
    for model in (Image, HeldFile):
        for row in model.objects.all():
            named.add(row.file.name)
            assert default_storage.open(row.file.name).read()
    assert set(stored_files()) == named
    assert peak_memory() < MOST_MEMORY


def test_pydicoms_files_twice_leave_the_same_records(receive, stored_files):
    few = [path for path in PYDICOMS if path.stat().st_size < 50_000][:25]
    for path in few:
        receive(path, path.name)
    before = (stored_files(), Image.objects.count(), HeldFile.objects.count())
    for path in few:
        receive(path, path.name)
    assert (stored_files(), Image.objects.count(), HeldFile.objects.count()) == before


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_short_is_refused(receive, stored_files, kind, share):
    content = KINDS[kind]
    receipt = receive(content[: int(len(content) * share)], described=described_as("M-1"))
    assert is_refused_cleanly(receipt), receipt
    assert nothing_is_stored(stored_files)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("name", ["RG1_J2KI.dcm", "rsna-*.dcm"])
def test_a_real_film_cut_short_is_refused(receive, stored_files, name, share):
    content = real_dicom(name).read_bytes()
    assert is_refused_cleanly(receive(content[: int(len(content) * share)]))
    assert nothing_is_stored(stored_files)


def flipped(content: bytes, seed: int) -> bytes:
    """The file with 1 to 8 bytes changed, half of the time in its first 2,000."""
    random = np.random.default_rng(seed)
    changed = bytearray(content)
    reach = min(len(changed), 2000) if random.random() < 0.5 else len(changed)
    for place in random.integers(0, reach, random.integers(1, 9)):
        changed[place] ^= int(random.integers(1, 256))
    return bytes(changed)


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_thousand_damaged_files_none_ends_the_decoder(kind):
    """Seeded: what fails once fails always."""
    each = -(-1000 // len(KINDS))
    with processes.one() as process:
        first = process.pid
    for seed in range(each):
        result = examined_or_code(flipped(KINDS[kind], seed), examine_apart)
        if isinstance(result, str):
            assert result in REFUSALS
        else:
            assert bool(result.preview) != bool(result.unshown_code)
    assert each * len(KINDS) >= 1000
    assert first
    assert peak_memory() < MOST_MEMORY


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_file_on_a_road_leaves_no_half_record(receive, stored_files, seed):
    receipt = receive(flipped(KINDS["Explicit VR Little Endian"], seed))
    assert receipt.code != "technical_error", receipt.reason
    rows = [*Image.objects.all(), *HeldFile.objects.all()]
    assert sorted(row.file.name for row in rows) == stored_files()
    assert Study.objects.count() == Image.objects.values("study").distinct().count()


def nested(depth: int) -> bytes:
    content = dicom()
    begin = struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    end = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    meta_end = content.index(b"\x08\x00\x05\x00")
    return content[:meta_end] + begin * depth + end * depth + content[meta_end:]


def uncompressed_of_12_bytes(**elements) -> bytes:
    return dicom(elements={**elements, "PixelData": bytes(12)})


def deflated_bomb(size: int) -> bytes:
    """Zeros, in place of a deflated data set."""
    start = deflated(dicom())
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(2**20)
    squeezed = b"".join(squeeze.compress(zeros) for _ in range(size // len(zeros))) + squeeze.flush()
    meta_end = start.index(b"1.2.840.10008.1.2.1.99") + 22
    return start[:meta_end] + squeezed


HARMFUL = {
    "65,535 rows and 12 bytes of pixels": uncompressed_of_12_bytes(Rows=65535),
    "65,535 x 65,535 and 12 bytes of pixels": uncompressed_of_12_bytes(Rows=65535, Columns=65535),
    "a thousand million frames": dicom(elements={"NumberOfFrames": 10**9}),
    "a thousand million frames of a CT": dicom(
        elements={"NumberOfFrames": 10**9, "Modality": "CT", "SOPClassUID": uid.CTImageStorage}
    ),
    "sequences 1,000 deep": nested(1000),
    "a PNG that is DICOM too": b"\x89PNG\r\n\x1a\n" + dicom()[8:],
    "a program that is DICOM too": b"MZ" + dicom()[2:],
    "a page called DICOM": b"<html><body>DICM</body></html>" * 20,
    "a deflated bomb": deflated_bomb(2**28),
    "a directory of a CD": next(path for path in PYDICOMS if path.name == "DICOMDIR").read_bytes(),
    "a UID that is a path": dicom().replace(b"1.2.840.10008.1.2.1\x00", b"../../../etc/passwd\x00"),
    "a name of 64 KB": dicom(patient_name="A" * 65_000),
    "nothing": b"",
    "text": b"Dear colleague, " * 50,
}


@pytest.mark.parametrize("what", HARMFUL)
def test_a_harmful_file_is_refused_with_its_reason_in_little_time_and_memory(receive, stored_files, what):
    processes.end_all()
    receive(b"")  # Not the start of a decoder is measured.
    with processes.one():
        pass
    began = time.process_time()
    receipt = receive(HARMFUL[what])
    assert is_refused_cleanly(receipt), receipt
    assert nothing_is_stored(stored_files)
    assert time.process_time() - began < 5
    assert peak_memory() < MOST_MEMORY
    assert receive(dicom()).outcome is FileOutcome.STORED  # The road is open.


def test_a_disk_that_is_full_in_the_middle_of_a_file_leaves_nothing_and_the_next_one_is_stored(
    receive, stored_files
):
    content = dicom(transfer_syntax=uid.ExplicitVRLittleEndian)
    examine_apart(content)  # The decoder is started before the limit: it is bounded by its own.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) // 2, before[1]))
    try:
        receipt = receive(content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (receipt.outcome, receipt.code) == (FileOutcome.REFUSED, "no_room")
    assert "send it again once there is room" in receipt.reason
    assert nothing_is_stored(stored_files)
    assert receive(content).outcome is FileOutcome.STORED


# The elements that the intake reads


KEYWORDS = sorted(set(TAGS) - {"ViewCodeSequence"})
TEXTS = st.one_of(
    st.binary(max_size=80),
    st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from(
        [b"", b"\\", b"^^^^", b"=", b"\x1b$B", b"-1", b"1e999", b"NaN", b"2026", b"99999999", b"\x00" * 9]
    ),
)


def with_element(content: bytes, keyword: str, value: bytes) -> bytes:
    """The file with these raw bytes as the element's value, in place of its own or in its place by the order of tags."""
    ds = pydicom.dcmread(BytesIO(content), stop_before_pixels=True)
    tag = tag_for_keyword(keyword)
    vr = dictionary_VR(tag)[:2].encode()
    value += b" " * (len(value) % 2)
    long = vr in (b"OB", b"OW", b"SQ", b"UT", b"UN")
    start = content.index(struct.pack("<HH", 0x0008, 0x0005), 132)
    elements = [(int(element.tag), element) for element in ds]
    raw = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    raw += struct.pack("<HL", 0, len(value)) if long else struct.pack("<H", len(value))
    place, end = start, start
    for number, _ in elements:
        at = content.index(struct.pack("<HH", number >> 16, number & 0xFFFF), place)
        if number >= tag:
            place = at
            length = struct.unpack_from("<H", content, at + 6)[0]
            end = at + 8 + length if number == tag else at
            break
        place = end = at
    return content[:place] + raw + value + content[end:]


@settings(max_examples=300, deadline=None)
@given(keyword=st.sampled_from(KEYWORDS), value=TEXTS)
def test_whatever_an_element_holds_the_file_is_refused_or_fits_the_record(keyword, value):
    content = with_element(PLAIN, keyword, value)
    examined = examined_or_code(content, lambda content: examine(content, image_limits()))
    if isinstance(examined, str):
        assert examined in REFUSALS
        return
    why_not_analysed(examined.header)
    assert json.loads(json.dumps(examined.header)) == examined.header
    values = columns(examined)
    unsaid = {name for name, value in values.items() if value is None}
    Image(**values).clean_fields(
        exclude=["site", "study", "uploaded_by", "file", "preview", "thumbnail", "road", *unsaid]
    )
    assert not any("\x00" in str(value) for value in examined.header.values())


PLAIN = phantom_dicom(1, rows=16, columns=16)


def columns(examined: ExaminedFile) -> dict:
    received = IncomingFile(
        kind=examined.kind.value,
        header=examined.header,
        rows=examined.rows,
        columns=examined.columns,
        original_name="a",
        sha256="0" * 64,
        size=1,
    )
    values = {
        name: getattr(received, name)
        for name in ("kind", "header", "rows", "columns", "original_name", "sha256", "size")
    }
    return {**values, **header_columns(received)}


def test_who_an_object_is_costs_no_more_memory_where_it_is_a_deflated_bomb(tmp_path):
    """The web server and the listener ask that of an object before its decoder does."""
    path = tmp_path / "bomb.dcm"
    path.write_bytes(deflated_bomb(2**30))
    limits = Limits(max_bytes=2**22, max_pixels=2**20)
    tracemalloc.start()
    with pytest.raises(ImageRefused):
        read_few(path, ["SOPInstanceUID"], limits=limits)
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()


@pytest.mark.parametrize("kind", [kind for kind, content in KINDS.items() if content[128:132] == b"DICM"])
def test_who_an_object_is_can_be_read_of_each_kind(tmp_path, kind):
    path = tmp_path / "a.dcm"
    path.write_bytes(KINDS[kind])
    found = read_few(path, ["SOPInstanceUID", "StudyInstanceUID"], limits=image_limits())
    said = pydicom.dcmread(path)
    assert (found.SOPInstanceUID, found.StudyInstanceUID) == (said.SOPInstanceUID, said.StudyInstanceUID)
