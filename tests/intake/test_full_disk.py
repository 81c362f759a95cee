"""The disk is full when half of a file is written: on every road nothing is kept, nobody is told that it is stored, and the road
stays open.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import errno
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from diagnosis.full_disk import is_full_disk
from diagnosis.intake.bulk import receive_path
from diagnosis.intake.decoder import examine_apart
from diagnosis.models import HeldFile, Image, IncomingFile, PacsPeer, Patient, ResumableUpload, Road, Study
from diagnosis.services.studies import FileOutcome
from diagnosis.services.tokens import token_issue
from ml.phantom import phantom_dicom
from tests.harness.binaries import require

pytestmark = pytest.mark.django_db

#: More than Django keeps of an upload in memory (2.5 MB).
CONTENT = phantom_dicom(1, rows=1300, columns=1200, patient_id="MRN-1", patient_name="Example^Ana")
BOUNDARY = "the-boundary"


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process grows beyond half of the content: the kernel refuses the write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(CONTENT) // 2, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What the sender was told: that it has arrived, to be stored or stored; by HTTP the status, and what was said."""

    has_arrived: bool
    status: int | None = None
    said: str = ""


Send = Callable[[], Told]
"""Sends the content."""


def told(response: HttpResponse, arrived: int) -> Told:
    return Told(response.status_code == arrived, response.status_code, response.content.decode())


@pytest.fixture
def by_rest(doctor) -> Send:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Token {token_issue(user=doctor).secret}")

    def send() -> Told:
        files = [SimpleUploadedFile("chest.dcm", CONTENT)]
        return told(client.post("/api/v1/uploads/", {"files": files}, format="multipart"), 201)

    return send


@pytest.fixture
def by_stow(doctor) -> Send:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Token {token_issue(user=doctor).secret}")
    body = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + CONTENT
    body += f"\r\n--{BOUNDARY}--\r\n".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'

    def send() -> Told:
        return told(client.generic("POST", "/dicom-web/studies", body, content_type=kind), 200)

    return send


@pytest.fixture
def by_form(doctor, site) -> Send:
    client = Client(raise_request_exception=False)
    client.force_login(doctor)

    def send() -> Told:
        sent = {"site": site.pk, "files": SimpleUploadedFile("chest.dcm", CONTENT)}
        response = client.post(reverse("web:upload"), sent, headers={"HX-Request": "true"})
        return told(response, 201)

    return send


@pytest.fixture
def by_plain_form(doctor, site) -> Send:
    """Without a script, which would ask for a fragment."""
    client = Client(raise_request_exception=False)
    client.force_login(doctor)

    def send() -> Told:
        sent = {"site": site.pk, "files": SimpleUploadedFile("chest.dcm", CONTENT)}
        return told(client.post(reverse("web:upload"), sent), 302)

    return send


@pytest.fixture
def by_tus(doctor, site) -> Send:
    client = Client(raise_request_exception=False)
    client.force_login(doctor)

    def send() -> Told:
        response = client.post(
            f"{reverse('web:parts')}?site={site.pk}",
            CONTENT,
            content_type="application/offset+octet-stream",
            headers={
                "Tus-Resumable": "1.0.0",
                "Upload-Length": str(len(CONTENT)),
                "Upload-Metadata": f"filename {base64.b64encode(b'chest.dcm').decode()}",
            },
        )
        return told(response, 201)

    return send


@pytest.fixture
def by_command(doctor, site, tmp_path) -> Send:
    path = tmp_path / "chest.dcm"
    path.write_bytes(CONTENT)

    def send() -> Told:
        [done] = receive_path(actor=doctor, site=site, path=path, road=Road.COMMAND)
        return Told(done.receipt.outcome is FileOutcome.STORED, said=str(done.receipt.reason))

    return send


@pytest.fixture
def by_c_store(doctor, site, listen, tmp_path) -> Send:
    PacsPeer.objects.create(
        site=site, name="Room 2", account=doctor, ae_title="ROOM2", may_send=True, networks="127.0.0.1"
    )
    path = tmp_path / "chest.dcm"
    path.write_bytes(CONTENT)
    port = listen().port

    def send() -> Told:
        command = [require("storescu"), "-aet", "ROOM2", "-aec", django_settings.CXR_DICOM_AE_TITLE]
        command += ["127.0.0.1", str(port), str(path)]
        return Told(subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0)

    return send


BY_HTTP = ["by_rest", "by_stow", "by_form", "by_plain_form", "by_tus"]
ROADS = [*BY_HTTP, "by_command", "by_c_store"]


def left(media: Path) -> list[str]:
    """Whatever of an image or of a part of it lies in the storage, and where files arrive."""
    return [str(path.relative_to(media)) for path in media.rglob("*") if path.is_file()]


@pytest.mark.parametrize("road", ROADS)
def test_half_a_file_is_no_file(
    request, private_media, road, settings, tmp_path, django_capture_on_commit_callbacks
):
    settings.FILE_UPLOAD_TEMP_DIR = str(private_media / "incoming")
    Path(settings.FILE_UPLOAD_TEMP_DIR).mkdir(parents=True)
    send: Send = request.getfixturevalue(road)
    examine_apart(CONTENT)  # The decoder is started before the limit: it is bounded by its own.
    with full_disk(), django_capture_on_commit_callbacks(execute=True):
        refused = send()
    assert not refused.has_arrived
    if road in BY_HTTP:
        assert refused.status == 507
    if road != "by_c_store":  # Of which 64 characters are left for a reason.
        assert "disk of the portal is full" in refused.said
        assert "once there is room" in refused.said
    assert left(private_media) == []
    for model in (Image, IncomingFile, HeldFile, Patient, Study):
        assert not model.objects.exists(), model
    assert not ResumableUpload.objects.exclude(offset=0).exists()
    with django_capture_on_commit_callbacks(execute=True):
        assert send().has_arrived
    kept = Image.objects.first() or IncomingFile.objects.get()
    with kept.file.open("rb") as file:
        assert len(file.read()) >= 2 * 1300 * 1200


@pytest.mark.parametrize("road", BY_HTTP)
def test_what_is_stored_can_be_read_while_the_disk_is_full(request, doctor, site, road, receive):
    image = receive(phantom_dicom(2, rows=64, columns=60, patient_id="MRN-2")).image
    send: Send = request.getfixturevalue(road)
    client = Client()
    client.force_login(doctor)
    examine_apart(CONTENT)
    with full_disk():
        assert send().status == 507
        assert client.get(reverse("web:study", args=[image.study_id])).status_code == 200
        assert client.get(reverse("web:preview", args=[image.pk])).status_code == 200


class TestAFullDatabase:
    """What the database says of it, in its own words."""

    @pytest.mark.parametrize("follows", [False, True], ids=["a file", "a file that another error follows"])
    def test_of_the_files_it_is_known_by_its_number(self, follows):
        error: Exception = OSError(errno.ENOSPC, "No space left on device")
        if follows:
            wrapped = RuntimeError("could not store")
            wrapped.__cause__ = error
            error = wrapped
        assert is_full_disk(error)

    def test_sqlite_says_so(self, tmp_path):
        """A real one, whose pages are limited."""
        with contextlib.closing(sqlite3.connect(tmp_path / "small.sqlite3")) as small:
            small.execute("CREATE TABLE one (a)")
            small.execute("PRAGMA max_page_count = 2")
            with pytest.raises(sqlite3.OperationalError) as full:
                small.execute("CREATE TABLE two (a)")
        assert is_full_disk(as_django_raises(full.value))

    def test_other_errors_are_not_taken_for_it(self):
        assert not is_full_disk(PermissionError(errno.EACCES, "Permission denied"))
        assert not is_full_disk(as_django_raises(sqlite3.OperationalError("database is locked")))
        assert not is_full_disk(None)


def as_django_raises(error: sqlite3.OperationalError) -> OperationalError:
    raised = OperationalError(*error.args)
    raised.__cause__ = error
    return raised
