"""Until a reader has locked a read, nothing that reaches this reader tells of the network: every address is asked."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from diagnosis.models import Prediction, Study
from diagnosis.selectors.critical_results import critical_findings
from diagnosis.selectors.reading import image_set_of
from diagnosis.selectors.studies import OpinionState, second_opinion, studies_with_opinion
from diagnosis.selectors.worklist import CHOICES, VIEWS
from diagnosis.services.critical_results import critical_flag
from diagnosis.services.first_reads import first_read_lock
from diagnosis.services.reviews import review_sign
from tests.dicomweb.conftest import dicom, stored
from tests.factories import (
    LABELS,
    ImageFactory,
    LabResultFactory,
    ModelPictureFactory,
    ModelVersionFactory,
    PatientFactory,
    PredictionFactory,
    StudyFactory,
    SymptomNoteFactory,
)
from tests.reading.walk import Answer, addresses, admin_addresses, ask

SCORES = {"zebra_sign": 0.7391, "covid19": 0.1682, "normal": 0.0927}
#: What only the network can have said of these cases: its label, the scores as the API and as the pages write them.
SAID = ("zebra", "0.7391", "0.1682", "0.0927", "0.74", "canary refusal")
#: The model that said it is known to nobody by another way, but on the pages about models.
MODEL = ("canary-net",)

QUERIES = [
    *(
        f"/?{name}={value}"
        for name in ("status", "opinion", "case", "sort")
        for value in CHOICES[name].values
    ),
    *(f"/?view={view}" for view in VIEWS),
    *(f"/api/v1/studies/?second_opinion={state}" for state in OpinionState),
    *(f"/api/v1/studies/?status={status}" for status in ("analysing", "to_read", "read")),
    *(f"/api/v1/studies/?ordering={field}" for field in ("created_at", "-created_at", "performed_at")),
]


@pytest.fixture
def site(site):
    site.reading_protocol = "read-first"
    site.save()
    return site


@pytest.fixture
def study(site, doctor):
    patient = PatientFactory(site=site, mrn="MRN-1", person_name="Example^Ana")
    LabResultFactory(patient=patient)
    SymptomNoteFactory(patient=patient)
    return StudyFactory(patient=patient, submitted_by=doctor, status="to_read")


@pytest.fixture
def image(study):
    return stored(study, dicom())


@pytest.fixture
def version(db):
    """An earlier model, whose labels are none of those that readers choose from now."""
    ModelVersionFactory()
    labels = [{"code": "zebra_sign", "display": "Zebra Sign"}, *LABELS]
    version = ModelVersionFactory(
        name="canary-net",
        version="9.9.9",
        labels=labels,
        card={"labels": labels, "limits": ["Canary limit."]},
        is_active=False,
    )
    ModelPictureFactory(model_version=version)
    return version


@pytest.fixture
def prediction(image, version):
    return PredictionFactory(
        image=image, model_version=version, done=True, label="zebra_sign", probabilities=SCORES
    )


@pytest.fixture
def earlier_study(study, version, radiologist):
    """A read study of the same patient: what the network said of it is not hidden any more, but beside this case."""
    earlier = StudyFactory(patient=study.patient, submitted_by=study.submitted_by, status="read")
    PredictionFactory(image=ImageFactory(study=earlier), model_version=version, done=True)
    return earlier


@pytest.fixture
def everywhere(study, image, version, prediction, second_radiologist):
    """Every address of the portal, about this case."""
    critical = critical_flag(
        actor=second_radiologist, study=study, finding=next(iter(critical_findings(study.site)))
    )
    # Where there is none of the case, an id that names nothing.
    none = [study.pk]
    return [
        *addresses(
            {
                "studies": [study.pk],
                "patients": [study.patient.pk],
                "images": [image.pk],
                "predictions": [prediction.pk],
                "models": [version.pk],
                "uploads": [image.pk],
                "parts": [image.pk],
                "reviews": none,
                "second-reads": none,
                "discrepancies": none,
                "critical": [critical.pk],
                "critical-results": [critical.pk],
                "views": [1],
                "label": ["zebra_sign", "covid19"],
                "name": ["confusion"],
                "study": [study.study_instance_uid],
                "series": [image.series_instance_uid],
                "instance": [image.sop_instance_uid],
                "frames": ["1"],
            }
        ),
        *QUERIES,
        f"/patients/{study.patient.pk}/timeline/?study={study.pk}",
        f"/studies/{study.pk}/?image={image.pk}",
    ]


def browser_of(user) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


#: What lists every model and its labels, whatever cases there are.
CATALOGUES = ("/models/", "/admin/diagnosis/modelversion/")
#: It offers every model to narrow the list to.
NAMES_MODELS = (*CATALOGUES, "/admin/diagnosis/prediction/")


def told(answers: list[Answer], prediction) -> list[tuple[str, str]]:
    """Which of the answers hold which word of the network."""
    found = []
    for answer in answers:
        words = [*SAID, *MODEL, str(prediction.pk)]
        if any(part in answer.address for part in NAMES_MODELS):
            words.remove("canary-net")
        if any(part in answer.address for part in CATALOGUES):
            words.remove("zebra")
        found += [(answer.address, word) for word in words if answer.holds(word)]
    return found


def walk(user, asked: list[str]) -> list[Answer]:
    client = browser_of(user)
    answers = [ask(client, address) for address in asked]
    # No worker runs here, and it says so.
    failed = [answer.address for answer in answers if answer.status >= 500]
    assert [address for address in failed if address != "/healthz"] == []
    return answers


def lock(reader, study):
    first_read_lock(
        actor=reader,
        study=study,
        label="normal",
        confidence="likely",
        image_set=image_set_of(study.images.all()),
    )


def test_nothing_tells_anybody_before_the_lock_and_then_it_tells_that_reader_alone(
    radiologist, second_radiologist, doctor, study, prediction, everywhere
):
    answers = walk(radiologist, everywhere)
    assert sum(answer.status == 200 for answer in answers) > 40
    assert told(answers, prediction) == []

    lock(radiologist, study)
    # The same walk finds all of it now: it could have failed.
    found = told(walk(radiologist, everywhere), prediction)
    assert {word for _, word in found} >= {"zebra", "0.7391", "0.74", "canary-net", str(prediction.pk)}
    telling = {address for address, _ in found}
    assert telling >= {
        "/",
        "/?opinion=label",
        f"/studies/{study.pk}/",
        f"/studies/{study.pk}/live/",
        f"/patients/{study.patient.pk}/timeline/",
        "/api/v1/studies/",
        "/api/v1/studies/?second_opinion=label",
        f"/api/v1/studies/{study.pk}/",
        f"/api/v1/patients/{study.patient.pk}/timeline/",
        f"/api/v1/predictions/{prediction.pk}/",
    }
    for person in (second_radiologist, doctor):
        assert told(walk(person, sorted(telling)), prediction) == []


def test_nothing_in_the_administration_tells_a_superuser_who_reads(
    radiologist, second_radiologist, study, prediction
):
    radiologist.is_staff = radiologist.is_superuser = True
    radiologist.save()
    lock(second_radiologist, study)
    assert told(walk(radiologist, admin_addresses()), prediction) == []
    lock(radiologist, study)
    found = {address for address, _ in told(walk(radiologist, admin_addresses()), prediction)}
    assert reverse("admin:diagnosis_prediction_change", args=[prediction.pk]) in found
    assert reverse("admin:diagnosis_auditevent_changelist") in found


def test_an_earlier_read_that_overrode_the_network_does_not_tell_once_images_were_added(
    radiologist, second_radiologist, study, prediction
):
    lock(radiologist, study)
    token = second_opinion(
        studies_with_opinion(Study.objects.filter(pk=study.pk), viewer=radiologist).get()
    ).token
    review_sign(
        actor=radiologist,
        study=study,
        decision="override",
        label="normal",
        reason="map_wrong_place",
        opinion_token=token,
    )
    PredictionFactory(image=ImageFactory(study=study), model_version=prediction.model_version, done=True)
    Study.objects.filter(pk=study.pk).update(status="to_read")
    of_the_case = [
        f"/studies/{study.pk}/",
        f"/studies/{study.pk}/live/",
        f"/patients/{study.patient.pk}/",
        f"/patients/{study.patient.pk}/timeline/",
        f"/api/v1/studies/{study.pk}/",
        f"/api/v1/studies/{study.pk}/reviews/",
        f"/api/v1/patients/{study.patient.pk}/timeline/",
        f"/reviews/{study.reviews.get().pk}/report.pdf",
    ]
    for reader in (radiologist, second_radiologist):
        answers = walk(reader, of_the_case)
        assert told(answers, prediction) == []
        for answer in answers:
            for word in ("overrode", "map_wrong_place", "looked at the wrong place", "held firm"):
                assert not answer.holds(word), (answer.address, word)
    lock(radiologist, study)
    assert ask(browser_of(radiologist), of_the_case[0]).holds("overrode")


def test_beside_a_hidden_case_what_the_network_said_of_earlier_ones_is_hidden_too(
    radiologist, study, prediction, earlier_study
):
    used = 'href="#icon-network"'
    client, page = browser_of(radiologist), f"/studies/{study.pk}/"
    assert not ask(client, page).holds(used)
    lock(radiologist, study)
    assert ask(client, page).holds(used)


NOTHING = {"label": "", "possible_labels": []}
STATES = {
    "queued": ("analysing", {"status": "queued", **NOTHING}),
    "done": ("to_read", {"status": "done"}),
    "unsure": ("to_read", {"status": "done", "possible_labels": ["zebra_sign", "normal"]}),
    "refused": ("to_read", {"status": "refused", "reason": "Canary refusal.", **NOTHING}),
}


@pytest.mark.parametrize("role", ["radiologist", "doctor"])
def test_every_answer_is_the_same_whatever_the_network_says_and_whenever(
    request, monkeypatch, role, study, prediction, everywhere
):
    """Bodies, their lengths, statuses and headers: what does not differ tells nothing."""
    # A slow walk must not find another age of the case at its end than at its beginning.
    moment = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: moment)
    person = request.getfixturevalue(role)
    asked = everywhere if role == "radiologist" else [a for a in everywhere if str(study.pk) in a]
    said = {field: getattr(prediction, field) for field in ("label", "possible_labels")}
    seen: dict[str, list[Answer]] = {}
    for name, (status, values) in STATES.items():
        Prediction.objects.filter(pk=prediction.pk).update(**{"reason": "", **said, **values})
        Study.objects.filter(pk=study.pk).update(status=status)
        seen[name] = walk(person, asked)
    for name, answers in seen.items():
        pairs = zip(seen["queued"], answers, strict=True)
        assert [before.differs_from(after) for before, after in pairs if before != after] == [], name
