"""People at their browsers, and what they look at."""

from collections.abc import Callable

import pytest
from django.core.files.storage import default_storage
from django.test import Client

from diagnosis.models import User
from tests.factories import ImageFactory, PatientFactory, PredictionFactory, StudyFactory

HTMX = {"HX-Request": "true"}


@pytest.fixture
def browser() -> Callable[..., Client]:
    """A browser in which this person is logged in; ``None`` is nobody."""

    def make(user: User | None, **options: object) -> Client:
        client = Client(raise_request_exception=False, **options)
        if user is not None:
            client.force_login(user)
        return client

    return make


@pytest.fixture
def patient(site):
    return PatientFactory(site=site, mrn="MRN-1", person_name="Example^Ana", sex="F")


@pytest.fixture
def study(patient, doctor):
    """A study to be read, whose one image gets the label COVID-19."""
    study = StudyFactory(patient=patient, submitted_by=doctor, status="to_read")
    PredictionFactory(image=ImageFactory(study=study), done=True)
    return study


@pytest.fixture
def image(study):
    return study.images.get()


@pytest.fixture
def prediction(image):
    return image.predictions.get()


@pytest.fixture
def stored_files() -> Callable[[], list[str]]:
    """The names of all files in the storage."""

    def names() -> list[str]:
        folders = ("originals", "previews", "thumbnails")
        return [
            name
            for folder in folders
            if default_storage.exists(folder)
            for name in default_storage.listdir(folder)[1]
        ]

    return names
