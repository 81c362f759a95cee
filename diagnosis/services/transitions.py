"""Statuses change by one table of data: (status, event) → status. What is not in the table is not allowed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from django.utils.translation import gettext as _

from diagnosis.errors import Conflict
from diagnosis.models import PredictionStatus, StudyStatus


class StudyEvent(StrEnum):
    IMAGE_ADDED = "image added"
    ANALYSIS_REQUESTED = "analysis requested"
    ANALYSES_SETTLED = "all analyses settled"
    SIGNED = "signed"


class PredictionEvent(StrEnum):
    CLAIM = "claim"
    RECORD = "record"
    REFUSE = "refuse"
    FAIL = "fail"
    RUN_AGAIN = "run again"


STUDY_TRANSITIONS: Mapping[tuple[StudyStatus, StudyEvent], StudyStatus] = {
    (StudyStatus.ANALYSING, StudyEvent.IMAGE_ADDED): StudyStatus.ANALYSING,
    (StudyStatus.ANALYSING, StudyEvent.ANALYSIS_REQUESTED): StudyStatus.ANALYSING,
    (StudyStatus.ANALYSING, StudyEvent.ANALYSES_SETTLED): StudyStatus.TO_READ,
    # A radiologist need not wait for the network.
    (StudyStatus.ANALYSING, StudyEvent.SIGNED): StudyStatus.READ,
    (StudyStatus.TO_READ, StudyEvent.IMAGE_ADDED): StudyStatus.ANALYSING,
    (StudyStatus.TO_READ, StudyEvent.ANALYSIS_REQUESTED): StudyStatus.ANALYSING,
    (StudyStatus.TO_READ, StudyEvent.ANALYSES_SETTLED): StudyStatus.TO_READ,
    (StudyStatus.TO_READ, StudyEvent.SIGNED): StudyStatus.READ,
    # An image that comes after the read needs a read of its own; the network's late word on a read study does not.
    (StudyStatus.READ, StudyEvent.IMAGE_ADDED): StudyStatus.ANALYSING,
    (StudyStatus.READ, StudyEvent.ANALYSIS_REQUESTED): StudyStatus.READ,
    (StudyStatus.READ, StudyEvent.ANALYSES_SETTLED): StudyStatus.READ,
}

PREDICTION_TRANSITIONS: Mapping[tuple[PredictionStatus, PredictionEvent], PredictionStatus] = {
    (PredictionStatus.QUEUED, PredictionEvent.CLAIM): PredictionStatus.RUNNING,
    # Allowed only once the lease of the earlier worker has run out; the claim checks that.
    (PredictionStatus.RUNNING, PredictionEvent.CLAIM): PredictionStatus.RUNNING,
    (PredictionStatus.RUNNING, PredictionEvent.RECORD): PredictionStatus.DONE,
    (PredictionStatus.RUNNING, PredictionEvent.REFUSE): PredictionStatus.REFUSED,
    (PredictionStatus.RUNNING, PredictionEvent.FAIL): PredictionStatus.FAILED,
    (PredictionStatus.QUEUED, PredictionEvent.FAIL): PredictionStatus.FAILED,
    (PredictionStatus.FAILED, PredictionEvent.RUN_AGAIN): PredictionStatus.QUEUED,
}


def study_next(status: str, event: StudyEvent) -> StudyStatus:
    """The status after ``event``; raises ``Conflict`` when the table does not allow it."""
    try:
        return STUDY_TRANSITIONS[StudyStatus(status), event]
    except KeyError:
        raise Conflict(
            _("This study is “%(state)s”: that is not possible now. Reload the page.")
            % {"state": StudyStatus(status).label}
        ) from None


def prediction_next(status: str, event: PredictionEvent) -> PredictionStatus:
    """The status after ``event``; raises ``Conflict`` when the table does not allow it."""
    try:
        return PREDICTION_TRANSITIONS[PredictionStatus(status), event]
    except KeyError:
        raise Conflict(
            _("This analysis is “%(state)s”: that is not possible now. Reload the page.")
            % {"state": PredictionStatus(status).label}
        ) from None
