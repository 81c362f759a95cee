"""The row is the job: claimed once, brought to an end once, never lost."""

import dataclasses
import datetime as dt
import uuid

import numpy as np
import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from diagnosis import inference
from diagnosis.errors import Conflict, NotPossible
from diagnosis.inference import ModelIntegrityError, ModelOutput
from diagnosis.models import AuditEvent, ModelVersion, OutboxMessage, Prediction, StudyStatus
from diagnosis.selectors.heat_maps import heat_map_of
from diagnosis.services import outbox
from diagnosis.services.accounts import system_user
from diagnosis.services.analysis import analysis_run
from diagnosis.services.model_versions import model_version_activate
from diagnosis.services.predictions import (
    MAX_ATTEMPTS,
    prediction_claim,
    prediction_record,
    prediction_request,
    prediction_run_again,
    predictions_requeue_stale,
)
from ml.imaging import ImageRefused
from tests.factories import ImageFactory, ModelVersionFactory, PredictionFactory

OUTPUT = ModelOutput(
    probabilities={"covid19": 0.7, "viral_pneumonia": 0.2, "normal": 0.1},
    label="covid19",
    maps=np.ones((3, 5, 5), dtype=np.float32),
    features=np.ones(4, dtype=np.float32),
    possible_labels=["covid19"],
    timings={"network_ms": 2.0},
)


class Model:
    """Stands for the network alone, which has its own tests: what surrounds it is real."""

    name, version = "covid3", "0.0.1"

    def __init__(self, sha256: str) -> None:
        self.sha256 = sha256


@pytest.fixture
def image(doctor, site):
    return ImageFactory(study__patient__site=site, study__submitted_by=doctor)


@pytest.fixture
def prediction(image):
    return PredictionFactory(image=image)


@pytest.fixture
def network(monkeypatch, prediction):
    """Sets what the network answers: an output, or the exception it raises."""

    def answer(outcome):
        def analyse(content):
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        monkeypatch.setattr(inference, "served_model", lambda: Model(prediction.model_version.sha256))
        monkeypatch.setattr(inference, "served_gate", lambda: None)
        monkeypatch.setattr(inference, "analyse", analyse)

    return answer


def fresh(prediction):
    return Prediction.objects.select_related("image__study").get(pk=prediction.pk)


def test_a_request_queues_one_prediction_and_one_message(doctor, image):
    ModelVersionFactory()
    first, second = (prediction_request(actor=doctor, image=image) for _ in range(2))
    assert first == second
    assert OutboxMessage.objects.get().kwargs == {"prediction_id": str(first.pk)}


def test_without_an_active_model_the_study_is_read_unaided(doctor, image):
    assert prediction_request(actor=doctor, image=image) is None
    image.study.refresh_from_db()
    assert image.study.status == StudyStatus.TO_READ


def test_a_prediction_is_claimed_by_one_worker_only(prediction):
    assert prediction_claim(prediction_id=str(prediction.pk)) is not None
    assert prediction_claim(prediction_id=str(prediction.pk)) is None


def test_a_lost_worker_loses_its_claim_when_the_lease_runs_out(prediction):
    lost = prediction_claim(prediction_id=str(prediction.pk))
    Prediction.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    taken = prediction_claim(prediction_id=str(prediction.pk))
    assert taken.attempts == 2
    actor = system_user()
    assert prediction_record(actor=actor, prediction=taken, output=OUTPUT) is True
    assert prediction_record(actor=actor, prediction=lost, output=OUTPUT) is False
    assert AuditEvent.objects.filter(action="analysis_done").count() == 1


def test_an_analysis_ends_with_scores_maps_and_a_study_to_read(prediction, network):
    network(OUTPUT)
    analysis_run(prediction_id=str(prediction.pk))
    done = fresh(prediction)
    assert (done.status, done.label) == ("done", "covid19")
    assert done.scores[0] == ("covid19", "COVID-19", 0.7)
    assert done.image.study.status == StudyStatus.TO_READ
    assert heat_map_of(done, done.model_version.labels[0]["code"]).shape == (224, 224)


def test_running_a_finished_analysis_again_changes_nothing(prediction, network):
    network(OUTPUT)
    for _ in range(2):
        analysis_run(prediction_id=str(prediction.pk))
    assert fresh(prediction).attempts == 1
    assert AuditEvent.objects.filter(action="analysis_done").count() == 1


def test_a_study_is_to_be_read_only_when_its_last_image_is_settled(prediction, network):
    other = PredictionFactory(image=ImageFactory(study=prediction.image.study))
    network(OUTPUT)
    analysis_run(prediction_id=str(prediction.pk))
    assert fresh(prediction).image.study.is_being_analysed
    analysis_run(prediction_id=str(other.pk))
    assert not fresh(prediction).image.study.is_being_analysed


def test_an_image_the_network_may_not_judge_is_refused_with_its_reason(prediction, network):
    network(ImageRefused("several_frames", "The file holds several frames. Send a single image."))
    analysis_run(prediction_id=str(prediction.pk))
    refused = fresh(prediction)
    assert (refused.status, refused.refusal_code, refused.reason) == (
        "refused",
        "several_frames",
        "The file holds several frames. Send a single image.",
    )
    assert (refused.label, refused.possible_labels, refused.probabilities) == ("", [], {})
    assert refused.image.study.status == StudyStatus.TO_READ
    assert AuditEvent.objects.get(action="analysis_refused").details["code"] == "several_frames"


@pytest.fixture
def refused(image):
    return PredictionFactory(image=image, refused=True)


def test_a_refused_image_is_never_tried_again_with_the_same_model(doctor, refused):
    assert prediction_request(actor=doctor, image=refused.image) == refused
    Prediction.objects.update(queued_at=timezone.now() - dt.timedelta(days=9))
    assert predictions_requeue_stale(actor=system_user()) == 0
    assert prediction_claim(prediction_id=str(refused.pk)) is None
    with pytest.raises(Conflict):
        prediction_run_again(actor=doctor, prediction=refused)
    assert not OutboxMessage.objects.exists()
    assert fresh(refused).status == "refused"


def test_a_new_model_may_be_asked_about_an_image_that_another_refused(doctor, refused):
    newer = another_model_is_activated()
    assert fresh(refused).can_run_again
    asked = prediction_run_again(actor=doctor, prediction=fresh(refused))
    assert (asked.model_version, asked.status) == (newer, "queued")
    assert OutboxMessage.objects.get().kwargs == {"prediction_id": str(asked.pk)}
    assert fresh(refused).status == "refused"
    with pytest.raises(Conflict, match="asked about this image already"):
        prediction_run_again(actor=doctor, prediction=fresh(refused))


def test_a_failed_analysis_of_an_earlier_model_is_run_again_by_the_active_one(doctor, image):
    failed = PredictionFactory(image=image, failed=True)
    newer = another_model_is_activated()
    assert prediction_run_again(actor=doctor, prediction=failed).model_version == newer


def test_without_an_active_model_a_refused_image_cannot_be_asked_about_again(doctor, refused):
    ModelVersion.objects.update(is_active=False)
    with pytest.raises(NotPossible, match="No model is active"):
        prediction_run_again(actor=doctor, prediction=fresh(refused))


def another_model_is_activated():
    newer = ModelVersionFactory(name="covid4", is_active=False)
    return model_version_activate(actor=system_user(), model_version=newer, reason="Better.")


def test_the_labels_that_cannot_be_ruled_out_are_stored_and_on_record(prediction, network):
    network(dataclasses.replace(OUTPUT, possible_labels=["covid19", "normal"]))
    analysis_run(prediction_id=str(prediction.pk))
    unsure = fresh(prediction)
    assert (unsure.label, unsure.possible_labels, unsure.is_unsure) == (
        "covid19",
        ["covid19", "normal"],
        True,
    )
    assert unsure.opinion_display == "Unsure: COVID-19 or Normal"
    event = AuditEvent.objects.get(action="analysis_done")
    assert event.details["possible_labels"] == ["covid19", "normal"]


def test_the_database_refuses_a_finished_opinion_without_any_possible_label(prediction):
    done = PredictionFactory(done=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        Prediction.objects.filter(pk=done.pk).update(possible_labels=[])


def test_an_unexpected_failure_shows_a_neutral_sentence_with_an_error_number(prediction, network, caplog):
    network(RuntimeError("/secret/path of patient Example"))
    analysis_run(prediction_id=str(prediction.pk))
    failed = fresh(prediction)
    assert failed.status == "failed"
    assert "secret" not in failed.reason
    assert "Run again" in failed.reason
    assert caplog.records[-1].error_id in failed.reason


def test_a_lost_file_fails_the_analysis_instead_of_hanging(prediction, network):
    network(OUTPUT)
    prediction.image.file.storage.delete(prediction.image.file.name)
    analysis_run(prediction_id=str(prediction.pk))
    assert fresh(prediction).status == "failed"


def test_a_failed_analysis_runs_again_on_request(doctor, prediction, network):
    network(RuntimeError())
    analysis_run(prediction_id=str(prediction.pk))
    prediction_run_again(actor=doctor, prediction=prediction)
    assert (fresh(prediction).status, fresh(prediction).reason) == ("queued", "")
    assert fresh(prediction).image.study.is_being_analysed
    network(OUTPUT)
    analysis_run(prediction_id=str(prediction.pk))
    assert fresh(prediction).is_done


def test_only_a_failed_analysis_runs_again(doctor, prediction):
    with pytest.raises(Conflict):
        prediction_run_again(actor=doctor, prediction=prediction)


@pytest.mark.parametrize("part", ["served_model", "served_gate"])
@pytest.mark.parametrize(
    "fault", [ModelIntegrityError("model.onnx was altered"), FileNotFoundError("no model")]
)
def test_while_the_model_or_its_gate_is_missing_or_altered_analyses_stay_queued(
    prediction, network, monkeypatch, fault, part
):
    def missing():
        raise fault

    network(OUTPUT)
    monkeypatch.setattr(inference, part, missing)
    analysis_run(prediction_id=str(prediction.pk))
    assert (fresh(prediction).status, fresh(prediction).attempts) == ("queued", 0)


def test_a_worker_that_holds_another_model_does_not_answer_in_its_place(prediction, network, monkeypatch):
    network(OUTPUT)
    monkeypatch.setattr(inference, "served_model", lambda: Model("f" * 64))
    analysis_run(prediction_id=str(prediction.pk))
    assert fresh(prediction).status == "failed"
    assert "active model" in fresh(prediction).reason


def test_a_message_that_nobody_took_up_is_sent_again(prediction):
    Prediction.objects.update(queued_at=timezone.now() - dt.timedelta(hours=1))
    assert predictions_requeue_stale(actor=system_user()) == 1
    assert OutboxMessage.objects.count() == 1
    assert predictions_requeue_stale(actor=system_user()) == 0


def test_a_prediction_whose_workers_were_lost_three_times_fails_with_a_reason(prediction):
    for _ in range(MAX_ATTEMPTS):
        assert prediction_claim(prediction_id=str(prediction.pk)) is not None
        Prediction.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    assert prediction_claim(prediction_id=str(prediction.pk)) is None
    predictions_requeue_stale(actor=system_user())
    assert fresh(prediction).status == "failed"
    assert "3 times" in fresh(prediction).reason


def test_a_message_for_a_prediction_that_does_not_exist_is_dropped(prediction, network):
    network(OUTPUT)
    analysis_run(prediction_id=str(uuid.uuid4()))
    assert fresh(prediction).status == "queued"


def test_a_broker_that_is_down_keeps_the_message_in_the_outbox(
    doctor, image, monkeypatch, django_capture_on_commit_callbacks
):
    ModelVersionFactory()

    def refused(*_, **__):
        raise OperationalError("connection refused")

    monkeypatch.setattr(outbox.current_app, "send_task", refused)
    with django_capture_on_commit_callbacks(execute=True):
        prediction_request(actor=doctor, image=image)
    assert OutboxMessage.objects.count() == 1

    sent = []
    monkeypatch.setattr(outbox.current_app, "send_task", lambda name, **message: sent.append(name))
    assert outbox.messages_relay() == 1
    assert sent == ["diagnosis.tasks.analyse_image"]
    assert not OutboxMessage.objects.exists()
