"""Records for tests. Each factory writes a valid row straight to the database, without the services' side effects."""

import datetime as dt
import functools
import hashlib
import io
import itertools

import factory
import numpy as np
from django.contrib.auth.hashers import make_password
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from diagnosis.models import (
    FirstRead,
    FirstReadImage,
    HeldFile,
    Image,
    IncomingFile,
    LabResult,
    Membership,
    ModelPicture,
    ModelVersion,
    OpinionReveal,
    Patient,
    Prediction,
    ReportText,
    ResumableUpload,
    Review,
    Site,
    Study,
    SymptomNote,
    User,
)
from diagnosis.selectors.reading import image_set_of
from ml.imaging import render_jpeg, render_png

LABELS = [
    {"code": "covid19", "display": "COVID-19"},
    {"code": "viral_pneumonia", "display": "Viral Pneumonia"},
    {"code": "normal", "display": "Normal"},
]
PASSWORD = "a long and random passphrase"
_grey_levels = itertools.count()
# Hashing is slow on purpose; once for each process is enough.
password_hash = functools.cache(make_password)


class SiteFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Site

    name = factory.Sequence(lambda n: f"Hospital {n}")
    # What a test of the reading protocol is about it says itself; all others look at a second opinion that is not hidden.
    reading_protocol = "concurrent"


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user{n}")
    password = factory.LazyFunction(lambda: password_hash(PASSWORD))


class MembershipFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Membership

    user = factory.SubFactory(UserFactory)
    site = factory.SubFactory(SiteFactory)
    role = "doctor"


class PatientFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Patient

    site = factory.SubFactory(SiteFactory)
    mrn = factory.Sequence(lambda n: f"MRN-{n:05d}")
    person_name = factory.Sequence(lambda n: f"Example{n}^Ana")
    birth_date = factory.LazyFunction(lambda: timezone.localdate().replace(year=1960, day=1))
    sex = "F"


class StudyFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Study

    patient = factory.SubFactory(PatientFactory)
    site = factory.SelfAttribute("patient.site")
    study_instance_uid = factory.Sequence(lambda n: f"2.25.1000{n}")
    submitted_by = factory.SubFactory(UserFactory)


class _StoredFileFactory(factory.django.DjangoModelFactory):
    """Files are tiny flat pictures: tests that need a chest draw one and upload it."""

    class Meta:
        abstract = True

    original_name = "chest.png"
    kind = "png"
    sha256 = factory.Sequence(lambda n: f"{n:064x}")
    size = 100
    rows = 8
    columns = 8

    @factory.lazy_attribute
    def file(self) -> str:
        level = (next(_grey_levels) % 200 + 20) / 255
        return default_storage.save(
            f"originals/{self.sha256}", ContentFile(render_jpeg(np.full((8, 8), level, dtype=np.float32)))
        )

    preview = factory.SelfAttribute("file")
    thumbnail = factory.SelfAttribute("file")


class IncomingFileFactory(_StoredFileFactory):
    class Meta:
        model = IncomingFile

    site = factory.SubFactory(SiteFactory)
    uploaded_by = factory.SubFactory(UserFactory)


class ResumableUploadFactory(factory.django.DjangoModelFactory):
    """Ten bytes are announced, and none has come."""

    class Meta:
        model = ResumableUpload

    site = factory.SubFactory(SiteFactory)
    uploaded_by = factory.SubFactory(UserFactory)
    file_name = "chest.png"
    length = 10
    expires_at = factory.LazyFunction(lambda: timezone.now() + dt.timedelta(hours=1))


class HeldFileFactory(_StoredFileFactory):
    class Meta:
        model = HeldFile

    site = factory.SelfAttribute("patient.site")
    patient = factory.SubFactory(PatientFactory)
    uploaded_by = factory.SubFactory(UserFactory)
    reason_code = "patient_differs"


class ImageFactory(_StoredFileFactory):
    class Meta:
        model = Image

    study = factory.SubFactory(StudyFactory)
    site = factory.SelfAttribute("study.site")
    uploaded_by = factory.SelfAttribute("study.submitted_by")


class ModelVersionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = ModelVersion
        django_get_or_create = ("name", "version")

    name = "covid3"
    version = "0.0.1"
    sha256 = factory.Sequence(lambda n: f"{n:064x}")
    labels = LABELS
    card = {"name": "covid3", "version": "0.0.1", "labels": LABELS, "operating_point": {"rule": "argmax"}}
    is_active = True


class ModelPictureFactory(factory.django.DjangoModelFactory):
    """A plot of one grey pixel."""

    class Meta:
        model = ModelPicture

    model_version = factory.SubFactory(ModelVersionFactory)
    name = "confusion"
    content = factory.LazyFunction(lambda: render_png(np.full((1, 1), 0.5, dtype=np.float32)))
    sha256 = factory.LazyAttribute(lambda picture: hashlib.sha256(picture.content).hexdigest())


class PredictionFactory(factory.django.DjangoModelFactory):
    """A queued prediction; ``PredictionFactory(done=True)`` gives one with scores and maps."""

    class Meta:
        model = Prediction

    class Params:
        done = factory.Trait(
            status="done",
            label="covid19",
            possible_labels=factory.LazyAttribute(lambda prediction: [prediction.label]),
            probabilities={"covid19": 0.81, "viral_pneumonia": 0.12, "normal": 0.07},
            operating_point={"rule": "argmax"},
            activation_maps=factory.LazyFunction(
                lambda: npy(np.random.default_rng(0).random((3, 5, 5), dtype=np.float32))
            ),
            timings={"network_ms": 3.0},
            finished_at=factory.LazyFunction(timezone.now),
        )
        failed = factory.Trait(
            status="failed",
            reason="The analysis took too long and was stopped.",
            finished_at=factory.LazyFunction(timezone.now),
        )
        refused = factory.Trait(
            status="refused",
            refusal_code="not_frontal_chest",
            reason="This is not a frontal chest X-ray. Send the frontal image of the study.",
            finished_at=factory.LazyFunction(timezone.now),
        )

    image = factory.SubFactory(ImageFactory)
    model_version = factory.SubFactory(ModelVersionFactory)
    queued_at = factory.LazyFunction(timezone.now)


class FirstReadFactory(factory.django.DjangoModelFactory):
    """A locked read of all images of a study; ``FirstReadFactory(revealed=True)`` was shown the second opinion."""

    class Meta:
        model = FirstRead
        skip_postgeneration_save = True

    study = factory.SubFactory(StudyFactory)
    reader = factory.SubFactory(UserFactory)
    label = "normal"
    label_display = "Normal"
    confidence = "likely"
    protocol = "read-first"
    image_set = factory.LazyAttribute(lambda read: image_set_of(read.study.images.all()))

    @factory.post_generation
    def image_rows(self, create: bool, extracted: None) -> None:
        for image in self.study.images.filter(not_analysed_code=""):
            FirstReadImage.objects.create(first_read=self, image=image)

    @factory.post_generation
    def revealed(self, create: bool, extracted: bool | None) -> None:
        if extracted:
            OpinionReveal.objects.create(first_read=self, seen_predictions=[])


class LabResultFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = LabResult

    patient = factory.SubFactory(PatientFactory)
    result = "detected"
    collected_at = factory.LazyFunction(timezone.now)
    entered_by = factory.SubFactory(UserFactory)


class SymptomNoteFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = SymptomNote

    patient = factory.SubFactory(PatientFactory)
    text = "Cough for three days."
    entered_by = factory.SubFactory(UserFactory)


class ReviewFactory(factory.django.DjangoModelFactory):
    """A signed read without a second opinion. The study's status is left as it is."""

    class Meta:
        model = Review

    study = factory.SubFactory(StudyFactory, status="read")
    reader = factory.SubFactory(UserFactory)
    protocol = factory.SelfAttribute("study.site.reading_protocol")
    decision = "unaided"
    label = "normal"
    label_display = "Normal"
    seen_predictions = factory.LazyFunction(list)


class ReportTextFactory(factory.django.DjangoModelFactory):
    """A text block, ``.normal``."""

    class Meta:
        model = ReportText

    site = factory.SubFactory(SiteFactory)
    code = "normal"
    name = "Normal chest"
    block = "The lungs are clear."


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


__all__ = [
    "LABELS",
    "PASSWORD",
    "FirstReadFactory",
    "HeldFileFactory",
    "ImageFactory",
    "IncomingFileFactory",
    "LabResultFactory",
    "MembershipFactory",
    "ModelPictureFactory",
    "ModelVersionFactory",
    "PatientFactory",
    "PredictionFactory",
    "ReportTextFactory",
    "ResumableUploadFactory",
    "ReviewFactory",
    "SiteFactory",
    "StudyFactory",
    "SymptomNoteFactory",
    "UserFactory",
    "npy",
]
