"""How states look: an icon and a text together, never a colour alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext, gettext_lazy

from diagnosis.models import (
    Decision,
    PcrResult,
    Prediction,
    PredictionStatus,
    Priority,
    Review,
    Study,
    StudyStatus,
)
from diagnosis.selectors.studies import SecondOpinion, shown_status

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True, slots=True)
class Chip:
    """``icon`` is a symbol of the sprite; ``tone`` a class of the style sheet (``chip-<tone>``)."""

    icon: str
    text: StrOrPromise
    tone: str = "neutral"


STUDY: Mapping[str, Chip] = {
    StudyStatus.ANALYSING: Chip("hourglass", StudyStatus.ANALYSING.label, "progress"),
    StudyStatus.TO_READ: Chip("eye", StudyStatus.TO_READ.label, "attention"),
    StudyStatus.READ: Chip("check", StudyStatus.READ.label, "settled"),
}

PRIORITY: Mapping[str, Chip] = {
    Priority.ROUTINE: Chip("dash", Priority.ROUTINE.label),
    Priority.URGENT: Chip("up", Priority.URGENT.label, "attention"),
    Priority.STAT: Chip("double-up", Priority.STAT.label, "alert"),
}

PREDICTION: Mapping[str, Chip] = {
    PredictionStatus.QUEUED: Chip("hourglass", PredictionStatus.QUEUED.label, "progress"),
    PredictionStatus.RUNNING: Chip("hourglass", PredictionStatus.RUNNING.label, "progress"),
    PredictionStatus.DONE: Chip("network", PredictionStatus.DONE.label),
    PredictionStatus.FAILED: Chip("warning", PredictionStatus.FAILED.label, "alert"),
    PredictionStatus.REFUSED: Chip("stop", PredictionStatus.REFUSED.label, "attention"),
}

#: In place of a prediction's, for what the network is not asked about.
NOT_ANALYSED = Chip("dash", gettext_lazy("Not analysed"))

PCR: Mapping[str, Chip] = {
    PcrResult.DETECTED: Chip("plus", PcrResult.DETECTED.label, "alert"),
    PcrResult.NOT_DETECTED: Chip("minus", PcrResult.NOT_DETECTED.label),
    PcrResult.INDETERMINATE: Chip("question", PcrResult.INDETERMINATE.label, "attention"),
}

_DECISION_ICONS: Mapping[str, str] = {
    Decision.CONFIRM: "check",
    Decision.DECIDE: "check",
    Decision.OVERRIDE: "pen",
    Decision.UNAIDED: "eye",
}

NO_OPINION = Chip("dash", gettext_lazy("None"))
HIDDEN_OPINION = Chip("lock", gettext_lazy("After the read"))
MIXED_OPINION = Chip("warning", gettext_lazy("Images differ"), "attention")
NO_PCR = Chip("dash", gettext_lazy("None"))
NOT_READ = Chip("dash", gettext_lazy("Not read yet"))
SECOND_READER_WANTED = Chip("eye", gettext_lazy("Second reader wanted"), "attention")


def study_chip(study: Study) -> Chip:
    return STUDY[shown_status(study)]


def priority_chip(study: Study) -> Chip | None:
    """Routine is the rule and needs no sign."""
    return None if study.priority == Priority.ROUTINE else PRIORITY[study.priority]


def prediction_chip(prediction: Prediction) -> Chip:
    chip = PREDICTION[prediction.status]
    if not prediction.is_done:
        return chip
    if prediction.is_unsure:
        return Chip("question", prediction.opinion_display, "attention")
    return Chip(chip.icon, prediction.opinion_display, chip.tone)


def opinion_chip(opinion: SecondOpinion) -> Chip:
    """One sign for the whole study: what is still to come first, then what is wrong, then the label."""
    if opinion.is_hidden:
        return HIDDEN_OPINION
    if not opinion.predictions:
        return NO_OPINION
    unfinished = [prediction for prediction in opinion.predictions if not prediction.is_final]
    if unfinished:
        return PREDICTION[max(prediction.status for prediction in unfinished)]
    if opinion.is_mixed:
        return MIXED_OPINION
    said = [prediction for prediction in opinion.predictions if prediction.is_done]
    return prediction_chip((said or opinion.predictions)[-1])


def pcr_chip(result: str | None) -> Chip:
    return PCR[result] if result else NO_PCR


def decision_chip(review: Review | None, *, is_read: bool = False, tells_opinion: bool = True) -> Chip:
    """The label that was signed. Its icon tells how it stands to the second opinion, where that is not hidden.

    A study that ``is_read`` and shows no read waits for a second reader, who must not see it.
    """
    if review is None:
        return SECOND_READER_WANTED if is_read else NOT_READ
    tells = tells_opinion and getattr(review, "ai_shown", True)
    return Chip(
        _DECISION_ICONS[review.decision] if tells else "check", gettext(review.label_display), "settled"
    )
