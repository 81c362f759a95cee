"""Stored DICOM files, and programs that ask for them."""

import dataclasses
import hashlib
import json
import threading
from collections.abc import Callable, Iterator

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections
from django.test.testcases import LiveServerThread, _StaticFilesHandler
from rest_framework.test import APIClient

from diagnosis.intake.dicom_header import read_header
from diagnosis.models import Image, Study, User
from diagnosis.services.tokens import token_issue
from ml.imaging import load_image, render_jpeg
from ml.phantom import phantom_dicom
from tests.factories import ImageFactory, PatientFactory, StudyFactory

STUDY_UID = "1.2.826.0.1.3680043.10.1.1"
SMALL = {"rows": 40, "columns": 36, "patient_id": "MRN-1", "patient_name": "Example^Ana"}


def dicom(seed: int = 1, **options) -> bytes:
    said = {"study_instance_uid": STUDY_UID, "sop_instance_uid": f"{STUDY_UID}.9.{seed}", **SMALL}
    return phantom_dicom(seed, **{**said, **options})


def stored(study: Study, content: bytes) -> Image:
    """``content`` as an image of ``study``, its record as the intake writes it."""
    header = read_header(content)
    sha256 = hashlib.sha256(content).hexdigest()
    picture = render_jpeg(load_image(content).pixels)
    return ImageFactory(
        study=study,
        kind="dicom",
        sha256=sha256,
        size=len(content),
        rows=header.rows,
        columns=header.columns,
        number_of_frames=1,
        file=default_storage.save(f"originals/{sha256}", ContentFile(content)),
        preview=default_storage.save(f"previews/{sha256}.jpg", ContentFile(picture)),
        thumbnail=default_storage.save(f"thumbnails/{sha256}.jpg", ContentFile(picture)),
        header=json.loads(json.dumps(dataclasses.asdict(header), cls=DjangoJSONEncoder)),
        sop_class_uid=header.sop_class_uid,
        sop_instance_uid=header.sop_instance_uid,
        series_instance_uid=header.series_instance_uid,
        series_number=1,
        instance_number=1,
        transfer_syntax_uid=header.transfer_syntax_uid,
        modality=header.modality,
        body_part_examined=header.body_part_examined,
        view_position=header.view_position,
    )


@pytest.fixture
def patient(site):
    return PatientFactory(site=site, mrn="MRN-1", person_name="Example^Ana", sex="F", birth_date="1960-05-01")


@pytest.fixture
def study(patient, doctor) -> Study:
    return StudyFactory(
        patient=patient,
        submitted_by=doctor,
        study_instance_uid=STUDY_UID,
        accession_number="ACC-7",
        study_description="Chest, drawn",
        performed_at="2020-04-02T08:15:00Z",  # 10:15 at the hospital, in Madrid.
        status="to_read",
    )


@pytest.fixture
def image(study) -> Image:
    return stored(study, dicom())


@pytest.fixture
def client_of(db) -> Callable[[User], APIClient]:
    """A client that sends the person's token."""

    def make(user: User) -> APIClient:
        client = APIClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Token {token_issue(user=user).secret}")
        return client

    return make


@pytest.fixture
def api(client_of, doctor) -> APIClient:
    return client_of(doctor)


@pytest.fixture
def server(db) -> Iterator[str]:
    """The address of a real web server over this test's own records: its threads share the test's connection."""
    connection = connections["default"]
    connection.inc_thread_sharing()
    thread = LiveServerThread("127.0.0.1", _StaticFilesHandler, connections_override={"default": connection})
    thread.daemon = True
    thread.start()
    thread.is_ready.wait()
    assert thread.error is None
    yield f"http://127.0.0.1:{thread.port}"
    thread.terminate()
    for answering in threading.enumerate():
        if "process_request_thread" in answering.name:
            answering.join(10)  # It closes its connection, which is this test's.
    connection.dec_thread_sharing()


@pytest.fixture
def peer_of(server) -> Callable[[User], DICOMwebClient]:
    """The reference client for DICOMweb in Python, with the person's token."""

    def make(user: User) -> DICOMwebClient:
        session = requests.Session()
        session.headers["Connection"] = "close"
        session.headers["Authorization"] = f"Token {token_issue(user=user).secret}"
        return DICOMwebClient(f"{server}/dicom-web", session=session)

    return make


@pytest.fixture
def peer(peer_of, doctor) -> DICOMwebClient:
    return peer_of(doctor)


def path_of(image: Image) -> str:
    return (
        f"/dicom-web/studies/{image.study.study_instance_uid}/series/{image.series_instance_uid}"
        f"/instances/{image.sop_instance_uid}"
    )
