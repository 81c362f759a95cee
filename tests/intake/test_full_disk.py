"""The disk is full when half of a file is written: on every road nothing is kept, nobody is told that it is stored, and the road
stays open.
"""

from __future__ import annotations

import base64
import contextlib
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

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


Send = Callable[[], bool]
"""Sends the content; says whether its sender was told that it has arrived, to be stored or stored."""


@pytest.fixture
def by_rest(doctor) -> Send:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Token {token_issue(user=doctor).secret}")

    def send() -> bool:
        files = [SimpleUploadedFile("chest.dcm", CONTENT)]
        return client.post("/api/v1/uploads/", {"files": files}, format="multipart").status_code == 201

    return send


@pytest.fixture
def by_stow(doctor) -> Send:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Token {token_issue(user=doctor).secret}")
    body = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + CONTENT
    body += f"\r\n--{BOUNDARY}--\r\n".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'

    def send() -> bool:
        return client.generic("POST", "/dicom-web/studies", body, content_type=kind).status_code == 200

    return send


@pytest.fixture
def by_form(doctor, site) -> Send:
    client = Client(raise_request_exception=False)
    client.force_login(doctor)

    def send() -> bool:
        sent = {"site": site.pk, "files": SimpleUploadedFile("chest.dcm", CONTENT)}
        response = client.post(reverse("web:upload"), sent, headers={"HX-Request": "true"})
        return response.status_code == 201

    return send


@pytest.fixture
def by_tus(doctor, site) -> Send:
    client = Client(raise_request_exception=False)
    client.force_login(doctor)

    def send() -> bool:
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
        return response.status_code == 201 and response["X-Outcome"] == "waiting"

    return send


@pytest.fixture
def by_command(doctor, site, tmp_path) -> Send:
    path = tmp_path / "chest.dcm"
    path.write_bytes(CONTENT)

    def send() -> bool:
        [done] = receive_path(actor=doctor, site=site, path=path, road=Road.COMMAND)
        return done.receipt.outcome is FileOutcome.STORED

    return send


@pytest.fixture
def by_c_store(doctor, site, listen, tmp_path) -> Send:
    PacsPeer.objects.create(
        site=site, name="Room 2", account=doctor, ae_title="ROOM2", may_send=True, networks="127.0.0.1"
    )
    path = tmp_path / "chest.dcm"
    path.write_bytes(CONTENT)
    port = listen().port

    def send() -> bool:
        command = [require("storescu"), "-aet", "ROOM2", "-aec", django_settings.CXR_DICOM_AE_TITLE]
        command += ["127.0.0.1", str(port), str(path)]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0

    return send


ROADS = ["by_rest", "by_stow", "by_form", "by_tus", "by_command", "by_c_store"]


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
        assert not send()
    assert left(private_media) == []
    for model in (Image, IncomingFile, HeldFile, Patient, Study):
        assert not model.objects.exists(), model
    assert not ResumableUpload.objects.exclude(offset=0).exists()
    with django_capture_on_commit_callbacks(execute=True):
        assert send()
    kept = Image.objects.first() or IncomingFile.objects.get()
    with kept.file.open("rb") as file:
        assert len(file.read()) >= 2 * 1300 * 1200
