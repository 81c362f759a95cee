"""The tables of transitions, over the whole product of statuses and events."""

import itertools

import pytest

from diagnosis.errors import Conflict
from diagnosis.models import FINAL_STATUSES, PredictionStatus, StudyStatus
from diagnosis.services.transitions import (
    PREDICTION_TRANSITIONS,
    STUDY_TRANSITIONS,
    PredictionEvent,
    StudyEvent,
    prediction_next,
    study_next,
)


@pytest.mark.parametrize(("status", "event"), list(itertools.product(PredictionStatus, PredictionEvent)))
def test_a_prediction_moves_by_the_table_and_every_other_pair_is_refused(status, event):
    if (status, event) in PREDICTION_TRANSITIONS:
        assert prediction_next(status, event) == PREDICTION_TRANSITIONS[status, event]
    else:
        with pytest.raises(Conflict, match="Reload the page"):
            prediction_next(status, event)


@pytest.mark.parametrize(("status", "event"), list(itertools.product(StudyStatus, StudyEvent)))
def test_a_study_moves_by_the_table_and_every_other_pair_is_refused(status, event):
    if (status, event) in STUDY_TRANSITIONS:
        assert study_next(status, event) == STUDY_TRANSITIONS[status, event]
    else:
        with pytest.raises(Conflict, match="Reload the page"):
            study_next(status, event)


def test_a_finished_opinion_can_only_be_reopened_from_failure():
    leaving = {status for (status, _), _ in PREDICTION_TRANSITIONS.items() if status in FINAL_STATUSES}
    assert leaving == {PredictionStatus.FAILED}


def test_a_read_study_is_not_signed_again():
    with pytest.raises(Conflict):
        study_next(StudyStatus.READ, StudyEvent.SIGNED)


def test_an_image_that_comes_after_the_read_reopens_the_study():
    assert study_next(StudyStatus.READ, StudyEvent.IMAGE_ADDED) == StudyStatus.ANALYSING
