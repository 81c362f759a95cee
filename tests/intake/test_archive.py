"""ZIP archives: each file by itself, nothing outside, nothing without end."""

import errno
import io
import resource
import stat
import struct
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest

from diagnosis.intake.archive import SENTENCES, ArchivedFile, ArchiveRefused, archived_files, is_archive
from diagnosis.intake.bulk import files_in, receive_path
from diagnosis.intake.spool import Spool
from diagnosis.models import Image, Road
from diagnosis.services.studies import FileOutcome
from tests.web.files import dicom, png


def packed(files: dict, **options) -> bytes:
    """A ZIP of names, or ZipInfo, and contents."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def read(content: bytes):
    return list(archived_files(io.BytesIO(content)))


def code_of(content: bytes) -> str:
    with pytest.raises(ArchiveRefused) as refused:
        read(content)
    assert str(refused.value).endswith(".")
    return refused.value.code


def entry(name: str, mode: int = 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def test_every_file_comes_with_its_name_and_content():
    files = read(packed({"a.dcm": b"one", "folder/b.dcm": b"two", "folder/": b""}))
    assert [(file.name, file.content) for file in files] == [("a.dcm", b"one"), ("folder/b.dcm", b"two")]


def test_an_archive_is_known_by_its_content():
    assert is_archive(packed({"a": b"1"})[:132])
    assert is_archive(packed({})[:132])
    assert not is_archive(png()[:132])
    assert not is_archive(b"PK\x03\x04" + bytes(124) + b"DICM")


def test_a_cd_gives_its_dicom_files_and_not_its_viewer():
    files = read(
        packed(
            {
                "DICOMDIR": dicom(1),
                "AUTORUN.INF": b"[autorun]",
                "VIEWER/VIEWER.EXE": b"MZ" + bytes(200),
                "VIEWER/LOGO.PNG": png(),
                "DICOM/PAT1/IM1": dicom(2),
            }
        )
    )
    assert [file.name for file in files] == ["DICOM/PAT1/IM1"]


@pytest.mark.parametrize(
    "name",
    ["../evil.dcm", "a/../../evil.dcm", "/etc/passwd", "C:\\windows\\x.dcm", "..\\evil.dcm", "\\\\host\\x"],
)
def test_a_name_that_leads_outside_is_refused_and_the_others_are_read(name):
    files = read(packed({entry(name): b"evil", "good.dcm": b"good"}))
    assert [(file.content, file.code) for file in files] == [(None, "archive_path"), (b"good", "")]
    assert files[0].reason


def test_a_link_is_refused():
    [file] = read(packed({entry("link.dcm", stat.S_IFLNK | 0o777): "/etc/passwd"}))
    assert (file.content, file.code) == (None, "archive_link")


@pytest.mark.parametrize("depth", [1, 2, 50])
def test_an_archive_inside_is_not_opened_however_deep_it_goes(depth):
    inner = packed({"a.dcm": dicom()})
    for _ in range(depth):
        inner = packed({"no-zip-by-its-name.dcm": inner})
    [file] = read(inner)
    assert (file.content, file.code) == (None, "nested_archive")


@pytest.mark.parametrize("code", sorted(SENTENCES))
def test_what_is_not_read_of_an_archive_says_why_and_what_to_do(code):
    reason = str(ArchivedFile("a", None, code).reason)
    assert reason.endswith(".")
    assert reason.count(". ") == 1


def test_a_locked_file_is_refused():
    content = bytearray(packed({"a.dcm": b"secret"}))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", content, content.index(signature) + flags, 1)
    [file] = read(bytes(content))
    assert file.code == "archive_encrypted"


def test_a_file_whose_checksum_is_wrong_is_refused():
    content = packed({"a.dcm": b"x" * 50})
    place = content.index(b"PK\x01\x02")
    damaged = bytearray(content)
    struct.pack_into("<L", damaged, place + 16, 12345)
    assert [file.code for file in read(bytes(damaged))] == ["archive_damaged"]


def test_an_archive_cut_anywhere_is_refused_as_a_whole():
    content = packed({"a.dcm": dicom(), "b.png": png()})
    for length in range(4, len(content), 501):
        assert code_of(content[:length]) == "archive_damaged"


def test_more_files_than_the_limit_are_refused_before_any_is_read(settings):
    settings.CXR_ARCHIVE_MAX_FILES = 3
    assert len(read(packed({f"{n}": b"1" for n in range(3)}))) == 3
    assert code_of(packed({f"{n}": b"1" for n in range(4)})) == "archive_too_many_files"


def test_a_directory_without_end_is_refused_before_it_is_read(settings, monkeypatch):
    settings.CXR_ARCHIVE_MAX_FILES = 10
    content = packed({f"{n}": b"" for n in range(41)})
    monkeypatch.setattr("diagnosis.intake.archive.zipfile.ZipFile", None)  # Would raise if it were called.
    assert code_of(content) == "archive_too_many_files"


def test_the_long_directory_of_a_zip64_is_seen_behind_the_short_one_that_it_shows(settings, monkeypatch):
    content = packed({"a": b"1"})
    end = content.index(b"PK\x05\x06")
    size, offset = struct.unpack_from("<LL", content, end + 12)
    end_64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**6, 10**6, size, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    monkeypatch.setattr("diagnosis.intake.archive.zipfile.ZipFile", None)
    assert code_of(content[:end] + end_64 + locator + content[end:]) == "archive_too_many_files"


def test_what_is_declared_over_the_limit_is_refused_before_any_is_read(settings):
    settings.CXR_ARCHIVE_MAX_BYTES = 1000
    assert code_of(packed({"a": bytes(600), "b": bytes(600)})) == "archive_too_large"


def test_one_file_over_its_limit_does_not_stop_the_others(settings):
    settings.CXR_MAX_UPLOAD_BYTES = 1000
    assert [file.code for file in read(packed({"a": bytes(1001), "b": bytes(1000)}))] == ["too_large", ""]


def lying(content: bytes, declared: int) -> bytes:
    """An archive whose directory says that its file is of ``declared`` bytes."""
    forged = bytearray(content)
    struct.pack_into("<L", forged, content.index(b"PK\x01\x02") + 24, declared)
    struct.pack_into("<L", forged, content.index(b"PK\x03\x04") + 22, declared)
    return bytes(forged)


def test_a_bomb_that_lies_about_its_size_is_read_no_further_than_it_says(settings):
    settings.CXR_MAX_UPLOAD_BYTES = 2**20
    content = lying(packed({"a": bytes(2**26)}), 500)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [file] = read(content)
    assert file.code == "archive_damaged"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY


MEBIBYTE = 2**20


def crc_of_zeros(count: int) -> int:
    """CRC-32 of ``count`` zeros: the register is a linear map of 32 bits, and that of a power of it is found by squaring."""

    def apply(columns: list[int], register: int) -> int:
        result = 0
        for place, column in enumerate(columns):
            if register >> place & 1:
                result ^= column
        return result

    step = [0xEDB88320, *(1 << place for place in range(31))]  # One bit of zero.
    register, bits = 0xFFFFFFFF, count * 8
    while bits:
        if bits & 1:
            register = apply(step, register)
        step = [apply(step, column) for column in step]
        bits >>= 1
    return register ^ 0xFFFFFFFF


def zip_of_zeros(mebibytes: int, files: int = 1) -> bytes:
    """A whole ZIP64 archive of so many files of zeros, each of so many MiB. One MiB is deflated once, and stands there often."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = squeeze.compress(bytes(MEBIBYTE)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    content = block * mebibytes + squeeze.flush()
    size, crc = mebibytes * MEBIBYTE, crc_of_zeros(mebibytes * MEBIBYTE)
    body, directory = bytearray(), bytearray()
    for number in range(files):
        name = f"zeros-{number}.dcm".encode()
        common = struct.pack("<HHHHHLLLH", 45, 0, 8, 0, 0x21, crc, 0xFFFFFFFF, 0xFFFFFFFF, len(name))
        sizes = struct.pack("<QQ", size, len(content))
        directory += b"PK\x01\x02" + struct.pack("<H", 45) + common
        directory += struct.pack("<HHHHLL", 28, 0, 0, 0, 0, 0xFFFFFFFF) + name
        directory += struct.pack("<HH", 1, 24) + sizes + struct.pack("<Q", len(body))
        body += (
            b"PK\x03\x04"
            + common
            + struct.pack("<H", 20)
            + name
            + struct.pack("<HH", 1, 16)
            + sizes
            + content
        )
    end_64 = struct.pack(
        "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, files, files, len(directory), len(body)
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(body) + len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return bytes(body + directory + end_64 + locator + end)


#: In KB: 32 MB.
MOST_MEMORY = 2**15


def test_an_archive_of_zeros_is_a_real_one():
    for mebibytes, files in ((1, 1), (3, 2)):
        with zipfile.ZipFile(io.BytesIO(zip_of_zeros(mebibytes, files))) as archive:
            assert archive.testzip() is None
            assert [entry.file_size for entry in archive.infolist()] == [mebibytes * MEBIBYTE] * files
            assert not any(archive.read(archive.infolist()[0]))


@pytest.mark.parametrize("files", [1, 250], ids=["one file", "250 files, none of them over the limit"])
def test_ten_gigabytes_of_zeros_are_refused_and_take_neither_memory_nor_time(doctor, site, tmp_path, files):
    path = tmp_path / "zeros.zip"
    path.write_bytes(zip_of_zeros(10 * 1024 // files, files))
    assert path.stat().st_size < 11 * MEBIBYTE
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    [receipt] = receive_all(doctor, site, path)
    assert (receipt.outcome, receipt.code) == (FileOutcome.REFUSED, "archive_too_large")
    assert "expands to more than the limit of 4,096 MB" in receipt.reason
    assert "send it in parts" in receipt.reason
    assert time.process_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY
    assert not Image.objects.exists()


@pytest.mark.parametrize(
    "claimed", [1000, 62 * MEBIBYTE], ids=["few", "as many as one file may have, nearly"]
)
def test_ten_gigabytes_of_zeros_that_claim_to_be_less_are_not_unpacked(doctor, site, tmp_path, claimed):
    content = bytearray(zip_of_zeros(10 * 1024))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        name = len(archive.namelist()[0])
    # Behind the header, the name, and the tag and the length of the ZIP64 extra field.
    for signature, header in ((b"PK\x03\x04", 30), (b"PK\x01\x02", 46)):
        struct.pack_into("<Q", content, content.index(signature) + header + name + 4, claimed)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert [entry.file_size for entry in archive.infolist()] == [claimed]
    path = tmp_path / "zeros.zip"
    path.write_bytes(content)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    [receipt] = receive_all(doctor, site, path)
    assert (receipt.outcome, receipt.code) == (FileOutcome.REFUSED, "archive_damaged")
    assert time.process_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY


def test_no_more_of_a_damaged_file_is_in_memory_than_a_few_blocks(tmp_path):
    """Measured where it is taken: what the process held before at its peak would hide it."""
    path = tmp_path / "damaged.zip"
    content = bytearray(zip_of_zeros(60))
    struct.pack_into("<L", content, content.index(b"PK\x01\x02") + 16, 12345)
    path.write_bytes(content)
    del content
    tracemalloc.start()
    [file] = archived_files(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file.code == "archive_damaged"
    assert peak < 8 * MEBIBYTE


def test_where_the_disk_has_no_room_to_unpack_a_file_it_is_not_called_damaged(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Spool, "write", full)
    with pytest.raises(OSError, match="No space left"):
        read(packed({"a": b"1"}))


def test_of_an_archive_without_room_its_sender_is_told_so_and_the_next_one_is_read(
    doctor, site, tmp_path, monkeypatch, stored_files
):
    path = tmp_path / "cd.zip"
    path.write_bytes(packed({"1.dcm": dicom(1)}))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(Spool, "write", full)
        [receipt] = receive_all(doctor, site, path)
    assert (receipt.outcome, receipt.code) == (FileOutcome.REFUSED, "no_room")
    assert stored_files() == []
    assert [receipt.outcome for receipt in receive_all(doctor, site, path)] == [FileOutcome.STORED]


def archived_files_or_code(content: bytes) -> list[str]:
    try:
        return [file.code for file in read(content)]
    except ArchiveRefused as refused:
        return [refused.code]


@pytest.mark.parametrize("seed", range(30))
def test_of_a_damaged_archive_only_a_refusal_leaves(seed):
    content = bytearray(packed({"a.dcm": dicom(), "b.png": png(), "c.txt": b"text"}))
    for n in range(8):
        content[(seed * 7919 + n * 104729) % len(content)] ^= (seed + n) % 255 + 1
    archived_files_or_code(bytes(content))


# Into the record


def receive_all(doctor, site, path: Path):
    return [done.receipt for done in receive_path(actor=doctor, site=site, path=path, road=Road.COMMAND)]


def test_the_good_files_of_an_archive_are_stored_and_the_bad_ones_refused(
    doctor, site, tmp_path, stored_files
):
    path = tmp_path / "cd.zip"
    path.write_bytes(
        packed({"1.dcm": dicom(1), "2.dcm": dicom(2), "readme.txt": b"hello", entry("../x.dcm"): dicom(3)})
    )
    receipts = receive_all(doctor, site, path)
    assert [receipt.outcome for receipt in receipts] == [
        FileOutcome.STORED,
        FileOutcome.STORED,
        FileOutcome.REFUSED,
        FileOutcome.REFUSED,
    ]
    assert [receipt.code for receipt in receipts[2:]] == ["unknown_kind", "archive_path"]
    assert {image.road for image in Image.objects.all()} == {"command"}
    assert len([name for name in stored_files() if name.startswith("originals/")]) == 2
    assert {receipt.outcome for receipt in receive_all(doctor, site, path)[:2]} == {FileOutcome.DUPLICATE}


def test_a_damaged_archive_is_one_refusal(doctor, site, tmp_path):
    path = tmp_path / "cd.zip"
    path.write_bytes(packed({"1.dcm": dicom(1)})[:-30])
    [receipt] = receive_all(doctor, site, path)
    assert (receipt.outcome, receipt.code) == (FileOutcome.REFUSED, "archive_damaged")
    assert not Image.objects.exists()


def test_a_folder_is_walked_in_order_and_the_folder_of_a_cd_gives_its_dicom_files(tmp_path):
    cd = tmp_path / "b-cd"
    for name, content in {
        "a/2.png": png(2),
        "a/1.png": png(1),
        "b-cd/DICOMDIR": b"directory",
        "b-cd/VIEWER/LOGO.PNG": png(3),
        "b-cd/IMAGES/IM1": dicom(),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert files_in([tmp_path]) == [tmp_path / "a/1.png", tmp_path / "a/2.png", cd / "IMAGES/IM1"]
    assert files_in([cd / "IMAGES/IM1", cd]) == [cd / "IMAGES/IM1"]
    with pytest.raises(FileNotFoundError):
        files_in([tmp_path / "none"])
