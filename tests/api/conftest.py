"""Clients of the API, and a read study to ask about."""

from collections.abc import Callable

import pytest
from django.core.files.storage import default_storage
from rest_framework.test import APIClient

from diagnosis.models import User
from diagnosis.services.tokens import token_issue
from tests.factories import (
    ImageFactory,
    LabResultFactory,
    PatientFactory,
    PredictionFactory,
    StudyFactory,
    SymptomNoteFactory,
)


@pytest.fixture
def client_of(db) -> Callable[[User], APIClient]:
    """A client that sends the person's token, as programs do."""

    def make(user: User) -> APIClient:
        client = APIClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Token {token_issue(user=user).secret}")
        client.default_format = "json"
        return client

    return make


@pytest.fixture
def api(client_of, doctor) -> APIClient:
    """The doctor's client."""
    return client_of(doctor)


@pytest.fixture
def patient(site):
    return PatientFactory(site=site, mrn="MRN-1", person_name="Example^Ana", sex="F")


@pytest.fixture
def study(patient, doctor):
    """A study to be read, with one image that was analysed."""
    return StudyFactory(patient=patient, submitted_by=doctor, status="to_read")


@pytest.fixture
def image(study):
    return ImageFactory(study=study)


@pytest.fixture
def prediction(image):
    return PredictionFactory(image=image, done=True)


@pytest.fixture
def lab_result(patient):
    return LabResultFactory(patient=patient)


@pytest.fixture
def symptom_note(patient):
    return SymptomNoteFactory(patient=patient)


@pytest.fixture
def stored_files() -> Callable[[], list[str]]:
    """Every file in the storage, whatever its folder."""

    def walk(folder: str = "") -> list[str]:
        if not default_storage.exists(folder):
            return []
        folders, files = default_storage.listdir(folder)
        return sorted(
            [f"{folder}/{name}" for name in files]
            + [path for name in folders for path in walk(f"{folder}/{name}" if folder else name)]
        )

    return walk
