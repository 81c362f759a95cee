"""People in the admin, and one record of every kind at two hospitals."""

import pytest
from django.test import Client
from django.urls import reverse

from diagnosis.models import PacsPeer, PacsRetrieval, User
from diagnosis.selectors.studies import second_opinion
from diagnosis.services.accounts import staff_sync
from diagnosis.services.audit import audit_record
from diagnosis.services.outbox import message_enqueue
from diagnosis.services.reviews import review_sign
from tests.factories import (
    FirstReadFactory,
    HeldFileFactory,
    ImageFactory,
    IncomingFileFactory,
    LabResultFactory,
    MembershipFactory,
    PatientFactory,
    PredictionFactory,
    StudyFactory,
    SymptomNoteFactory,
    UserFactory,
)


@pytest.fixture
def superuser(db) -> User:
    """Runs the installation; has no role at any hospital."""
    user = UserFactory(username="root", is_superuser=True)
    staff_sync(user=user)
    return user


@pytest.fixture
def visit():
    """A logged-in browser of a person."""

    def make(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return make


def make_records(site, reader, patient_name):
    """One row of every scoped model, by its name in the admin's addresses."""
    patient = PatientFactory(site=site, person_name=patient_name)
    study = StudyFactory(patient=patient, submitted_by=reader, accession_number=f"ACC-{site.pk}")
    image = ImageFactory(study=study, original_name=f"{patient_name}.png")
    prediction = PredictionFactory(image=image, done=True)
    note = SymptomNoteFactory(patient=patient, entered_by=reader)
    note.symptoms.create(code="49727002", severity="mild")
    lab_result = LabResultFactory(patient=patient, entered_by=reader)
    review = review_sign(
        actor=reader, study=study, decision="confirm", opinion_token=second_opinion(study).token, note="Seen."
    )
    return {
        "patient": patient,
        "study": study,
        "image": image,
        "prediction": prediction,
        "firstread": FirstReadFactory(study=study, reader=reader, revealed=True),
        "review": review,
        "labresult": lab_result,
        "symptomnote": note,
        "incomingfile": IncomingFileFactory(
            site=site, uploaded_by=reader, original_name=f"{patient_name} waiting.png"
        ),
        "heldfile": HeldFileFactory(
            patient=patient, uploaded_by=reader, original_name=f"{patient_name} held.png"
        ),
        "auditevent": audit_record(
            actor=reader, action="patient_viewed", site=site, patient=patient, target=patient
        ),
        "pacsretrieval": PacsRetrieval.objects.create(
            peer=PacsPeer.objects.create(site=site, name=f"{patient_name} archive", account=reader),
            requested_by=reader,
            study_instance_uid="1.2.3",
        ),
        "modelversion": prediction.model_version,
        "site": site,
        "user": reader,
    }


@pytest.fixture
def here(site, radiologist):
    return make_records(site, radiologist, "Here^Helen")


@pytest.fixture
def there(other_site):
    reader = MembershipFactory(site=other_site, role="radiologist", user__username="faraway").user
    return make_records(other_site, reader, "There^Theo")


@pytest.fixture
def outbox_message(db):
    return message_enqueue(task="diagnosis.tasks.analyse_image", kwargs={"prediction_id": "1"})


def list_of(name):
    return reverse(f"admin:diagnosis_{name}_changelist")


def page_of(name, record):
    return reverse(f"admin:diagnosis_{name}_change", args=[record.pk])
