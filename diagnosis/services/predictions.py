"""The life of a second opinion: requested, claimed by a worker, then recorded, refused or failed."""

from __future__ import annotations

import datetime as dt
import io
import logging
from typing import TYPE_CHECKING

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from diagnosis import policies
from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import (
    AuditAction,
    Image,
    ModelVersion,
    Prediction,
    PredictionStatus,
    Study,
    StudyStatus,
    User,
)
from diagnosis.sentences import Sentence, Words
from diagnosis.services import transitions
from diagnosis.services.audit import audit_record
from diagnosis.services.durability import unsynced
from diagnosis.services.outbox import message_enqueue
from diagnosis.services.second_reads import late_opinion_check
from diagnosis.services.transitions import PredictionEvent, StudyEvent

if TYPE_CHECKING:
    from diagnosis.inference import ModelOutput

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
# A message that no worker took up for so long is taken for lost, and sent again.
STALE_AFTER = dt.timedelta(minutes=5)

WORKER_LOST = Sentence(
    gettext_noop(
        "The analysis stopped {count} times without finishing. The image itself can be read; "
        "press “Run again” once the worker has been checked."
    ),
    count=MAX_ATTEMPTS,
)


def _lease_end() -> dt.datetime:
    return timezone.now() + dt.timedelta(seconds=2 * settings.CXR_ANALYSIS_TIME_LIMIT)


def study_apply(*, study: Study, event: StudyEvent) -> None:
    """Move ``study`` by the table of transitions, under a row lock."""
    _study_move(study, _status_locked(study), event)


def _status_locked(study: Study) -> str:
    """The status of ``study``, whose row is locked until the end of the transaction."""
    return Study.objects.select_for_update().values_list("status", flat=True).get(pk=study.pk)


def _study_move(study: Study, status: str, event: StudyEvent) -> None:
    study.status = transitions.study_next(status, event)
    if study.status != status:
        Study.objects.filter(pk=study.pk).update(status=study.status)


def _study_settle(study: Study) -> None:
    status = _status_locked(study)  # Two images that finish together must not both see the other unfinished.
    unfinished = Prediction.objects.filter(
        image__study=study, status__in=[PredictionStatus.QUEUED, PredictionStatus.RUNNING]
    )
    if unfinished.exists():
        study.status = status
    else:
        _study_move(study, status, StudyEvent.ANALYSES_SETTLED)


def _after(actor: User, prediction: Prediction) -> None:
    """What the end of an analysis changes beside its own row."""
    study = prediction.image.study
    _study_settle(study)
    if study.status == StudyStatus.READ:
        late_opinion_check(actor=actor, study=study)


def _dispatch(prediction: Prediction) -> None:
    message_enqueue(task="diagnosis.tasks.analyse_image", kwargs={"prediction_id": str(prediction.pk)})


@transaction.atomic
def prediction_request(*, actor: User, image: Image) -> Prediction | None:
    """Ask for the active model's opinion on ``image``; ``None`` when no model is active, or the image is none that is analysed:
    it is then read unaided.
    """
    policies.require(actor, policies.Act.RUN_ANALYSIS, image.site)
    # Its card is large, and nothing is read from it here.
    active = ModelVersion.objects.filter(is_active=True).defer("card")
    model_version = active.first() if image.is_analysed else None
    if model_version is None:
        _study_settle(image.study)
        return None
    prediction, created = Prediction.objects.get_or_create(
        image=image, model_version=model_version, defaults={"queued_at": timezone.now()}
    )
    if created:
        study_apply(study=image.study, event=StudyEvent.ANALYSIS_REQUESTED)
        _dispatch(prediction)
        _audit(actor, AuditAction.ANALYSIS_REQUESTED, prediction)
    return prediction


@transaction.atomic
def prediction_run_again(*, actor: User, prediction: Prediction) -> Prediction:
    """Queue an analysis that failed once more; where another model is active now, ask that one about the image instead.

    Raises ``Conflict`` when there is nothing to run again (any more), ``NotPossible`` where no model could be asked.
    """
    policies.require(actor, policies.Act.RUN_ANALYSIS, prediction.image.site)
    prediction = (
        Prediction.objects.select_for_update(of=("self",))
        .select_related("image__study", "image__site", "model_version")
        .get(pk=prediction.pk)
    )
    if prediction.can_run_again and not prediction.model_version.is_active:
        return _ask_active_model(actor=actor, image=prediction.image)
    prediction.status = transitions.prediction_next(prediction.status, PredictionEvent.RUN_AGAIN)
    prediction.reason, prediction.attempts, prediction.finished_at = "", 0, None
    prediction.queued_at, prediction.lease_until = timezone.now(), None
    prediction.save()
    study_apply(study=prediction.image.study, event=StudyEvent.ANALYSIS_REQUESTED)
    _dispatch(prediction)
    _audit(actor, AuditAction.ANALYSIS_REQUESTED, prediction, again=True)
    return prediction


def _ask_active_model(*, actor: User, image: Image) -> Prediction:
    if Prediction.objects.filter(image=image, model_version__is_active=True).exists():
        raise Conflict(_("The active model was asked about this image already. Reload the page."))
    prediction = prediction_request(actor=actor, image=image)
    if prediction is None:
        raise NotPossible(
            _("No model is active, so none can be asked. Read the image without a second opinion.")
        )
    return prediction


def prediction_claim(*, prediction_id: str) -> Prediction | None:
    """Take up a queued analysis, or one whose worker was lost; ``None`` when there is nothing to do.

    A compare-and-swap: of several workers with the same message exactly one gets the row. A claim that is lost with the power is
    lost with its worker, and the analysis still queued.
    """
    now = timezone.now()
    with unsynced():
        claimed = (
            Prediction.objects.filter(pk=prediction_id, attempts__lt=MAX_ATTEMPTS)
            .filter(
                Q(status=PredictionStatus.QUEUED) | Q(status=PredictionStatus.RUNNING, lease_until__lt=now)
            )
            .update(status=PredictionStatus.RUNNING, attempts=F("attempts") + 1, lease_until=_lease_end())
        )
    if not claimed:
        return None
    return (
        # All that the end of the analysis asks for, so that it asks for no more.
        Prediction.objects.select_related(
            "image__study__patient", "image__study__site", "image__site", "model_version"
        )
        .defer("activation_maps")
        .get(pk=prediction_id)
    )


def _finish(prediction: Prediction, event: PredictionEvent, **values: object) -> bool:
    """Close the attempt that ``prediction`` was claimed for; ``False`` when another attempt took over meanwhile."""
    status = transitions.prediction_next(prediction.status, event)
    return bool(
        Prediction.objects.filter(
            pk=prediction.pk, status=prediction.status, attempts=prediction.attempts
        ).update(status=status, lease_until=None, finished_at=timezone.now(), **values)
    )


@transaction.atomic
def prediction_record(*, actor: User, prediction: Prediction, output: ModelOutput) -> bool:
    """Store scores and maps; ``False``, with nothing stored, when another attempt took over meanwhile."""
    policies.require(actor, policies.Act.RECORD_ANALYSIS, prediction.image.site)
    maps = io.BytesIO()
    np.save(maps, output.maps, allow_pickle=False)
    recorded = _finish(
        prediction,
        PredictionEvent.RECORD,
        probabilities=output.probabilities,
        operating_point=prediction.model_version.card.get("operating_point", {}),
        label=output.label,
        possible_labels=output.possible_labels,
        activation_maps=maps.getvalue(),
        timings=output.timings,
        reason="",
    )
    if recorded:
        _after(actor, prediction)
        _audit(
            actor,
            AuditAction.ANALYSIS_DONE,
            prediction,
            label=output.label,
            possible_labels=output.possible_labels,
        )
    return recorded


@transaction.atomic
def prediction_refuse(*, actor: User, prediction: Prediction, code: str, reason: Words) -> bool:
    """The image is not one the network may judge; ``reason`` is a sentence for the person, ``code`` the same for a program.

    It stays refused for this model: only another model version is asked about the image again.
    """
    policies.require(actor, policies.Act.RECORD_ANALYSIS, prediction.image.site)
    recorded = _finish(prediction, PredictionEvent.REFUSE, reason=reason, refusal_code=code[:64])
    if recorded:
        _after(actor, prediction)
        _audit(actor, AuditAction.ANALYSIS_REFUSED, prediction, code=code)
    return recorded


@transaction.atomic
def prediction_fail(*, actor: User, prediction: Prediction, reason: Words) -> bool:
    """The analysis did not come to an end; ``reason`` is a sentence for the person, who may run it again."""
    policies.require(actor, policies.Act.RECORD_ANALYSIS, prediction.image.site)
    recorded = _finish(prediction, PredictionEvent.FAIL, reason=reason)
    if recorded:
        _after(actor, prediction)
        _audit(actor, AuditAction.ANALYSIS_FAILED, prediction, attempts=prediction.attempts)
    return recorded


def predictions_requeue_stale(*, actor: User) -> int:
    """Bring back analyses that nobody works on: lost messages, lost workers. Returns how many were touched."""
    now = timezone.now()
    unfinished = Prediction.objects.select_related("image__study", "image__site", "model_version")
    waiting = unfinished.filter(status=PredictionStatus.QUEUED, queued_at__lt=now - STALE_AFTER)
    lost = unfinished.filter(status=PredictionStatus.RUNNING, lease_until__lt=now)
    touched = 0
    for prediction in [*waiting, *lost]:
        if prediction.attempts >= MAX_ATTEMPTS:
            prediction_fail(actor=actor, prediction=prediction, reason=WORKER_LOST)
        else:
            with transaction.atomic():
                Prediction.objects.filter(pk=prediction.pk).update(queued_at=now)
                _dispatch(prediction)
        touched += 1
    return touched


def _audit(actor: User, action: AuditAction, prediction: Prediction, **details: object) -> None:
    study = prediction.image.study
    audit_record(
        actor=actor,
        action=action,
        site=study.site,
        patient=study.patient,
        target=prediction,
        details={"study": str(study.pk), "model": str(prediction.model_version), **details},
    )
