"""A file as it comes: hashed on the way, durable before it is stored, stored without a copy, gone at the end."""

import errno
import fcntl
import hashlib
import os
import socket
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.storage import default_storage

from diagnosis.intake import spool as spool_module
from diagnosis.intake import storage
from diagnosis.intake.decoder import examine_apart
from diagnosis.intake.spool import Spool, SpooledFile
from diagnosis.services.studies import FileOutcome
from tests.web.files import dicom


def spooled() -> set[Path]:
    return set(Path(settings.FILE_UPLOAD_TEMP_DIR).glob("spool-*"))


def broken(*_, **__):
    raise OSError(errno.EIO, "Input/output error")


@pytest.fixture
def spool():
    with Spool() as spool:
        for block in (b"one ", b"two ", b"three"):
            spool.write(block)
        yield spool


def test_it_is_hashed_and_counted_while_it_comes(spool):
    assert (spool.size, spool.sha256) == (13, hashlib.sha256(b"one two three").hexdigest())
    assert spool.read() == b"one two three"


def test_of_a_received_file_and_of_somebody_elses_it_says_the_same(tmp_path):
    path = tmp_path / "there.dcm"
    path.write_bytes(b"one two three")
    for make in (Spool.around, Spool.copy_of):
        with make(path) as spool:
            assert (spool.size, spool.sha256) == (13, hashlib.sha256(b"one two three").hexdigest())
        assert path.read_bytes() == b"one two three"


def test_it_is_stored_without_a_copy_and_stays_when_the_spool_goes(spool, private_media):
    name = default_storage.save("originals/a", SpooledFile(spool))
    assert (private_media / name).stat().st_ino == spool.path.stat().st_ino
    assert (private_media / name).stat().st_mode & 0o777 == settings.FILE_UPLOAD_PERMISSIONS
    spool.close()
    assert default_storage.open(name).read() == b"one two three"


def test_on_another_file_system_it_is_copied(spool, private_media, monkeypatch):
    def elsewhere(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(storage.os, "link", elsewhere)
    name = default_storage.save("originals/a", SpooledFile(spool))
    assert (private_media / name).stat().st_ino != spool.path.stat().st_ino
    assert default_storage.open(name).read() == b"one two three"


def test_somebody_elses_file_may_change_afterwards(receive, tmp_path):
    path = tmp_path / "theirs.dcm"
    path.write_bytes(dicom())
    image = receive(path).image
    path.write_bytes(b"changed")
    assert image.file.read() == dicom()


@pytest.mark.parametrize("meanwhile", [True, False])
def test_what_could_not_be_made_durable_is_not_stored(spool, monkeypatch, meanwhile, private_media):
    monkeypatch.setattr(spool_module.os, "fsync", broken)
    if meanwhile:
        spool.sync_meanwhile()
        spool._syncing.join()
        monkeypatch.undo()  # The kernel tells of it once.
    with pytest.raises(OSError, match="Input/output"):
        default_storage.save("originals/a", SpooledFile(spool))
    assert not list((private_media / "originals").iterdir())


def test_a_file_whose_bytes_are_not_durable_is_not_acknowledged(receive, tmp_path, stored_files, monkeypatch):
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom())
    monkeypatch.setattr(spool_module.os, "fsync", broken)
    assert receive(path).code == "technical_error"
    monkeypatch.undo()
    assert stored_files() == []
    assert receive(path).outcome is FileOutcome.STORED


@pytest.mark.parametrize("content", [dicom(), dicom()[:-100], b"no image"], ids=["stored", "cut", "refused"])
def test_nothing_of_it_is_left_in_the_folder_where_it_came(receive, tmp_path, content):
    before = spooled()
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    receive(path)
    assert spooled() == before


def test_the_decoder_gets_the_file_itself_and_cannot_write_to_it(tmp_path, monkeypatch):
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom())
    sent = []

    def send_fds(connection, blocks, descriptors):
        for descriptor in descriptors:
            is_for_reading = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
            sent.append((os.path.samestat(os.fstat(descriptor), path.stat()), is_for_reading))
        return real(connection, blocks, descriptors)

    real = socket.send_fds
    monkeypatch.setattr(socket, "send_fds", send_fds)
    assert examine_apart(path) == examine_apart(dicom())
    assert sent == [(True, True)]


def test_a_file_that_went_before_it_was_examined_is_no_fault_of_the_decoder(tmp_path):
    with pytest.raises(FileNotFoundError):
        examine_apart(tmp_path / "gone.dcm")
