"""What the panels of the study page show. They ask the policies and selectors, and decide nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from diagnosis import policies
from diagnosis.models import Decision, Image, ModelVersion, Patient, Prediction, Review, Study, User
from diagnosis.selectors.studies import SecondOpinion, current_review, reader_labels, second_opinion
from diagnosis.web.chips import Chip, opinion_chip, prediction_chip, study_chip
from diagnosis.web.forms.clinical_notes import LabResultForm, SymptomNoteForm
from diagnosis.web.forms.review import ReviewForm

QUICK_SECONDS = 1
SLOW_SECONDS = 5
QUICK_FOR_SECONDS = 60
"""An analysis takes seconds; one that was asked for longer ago waits for a worker, and asking often does not help."""


@dataclass(frozen=True, slots=True)
class EntryForms:
    """The forms beside the timeline; ``None`` where the role does not allow the act."""

    pcr: LabResultForm | None
    symptoms: SymptomNoteForm | None


def entry_forms(user: User, patient: Patient) -> EntryForms:
    may_pcr = policies.may(user, policies.Act.ADD_LAB_RESULT, patient.site)
    may_symptoms = policies.may(user, policies.Act.ADD_SYMPTOM_NOTE, patient.site)
    return EntryForms(LabResultForm() if may_pcr else None, SymptomNoteForm() if may_symptoms else None)


@dataclass(frozen=True, slots=True)
class ImagePanel:
    """One image and what the network says about it."""

    number: int
    image: Image
    prediction: Prediction | None

    @property
    def chip(self) -> Chip | None:
        return prediction_chip(self.prediction) if self.prediction else None

    @property
    def name(self) -> str:
        """“Image 2, PA”."""
        return ", ".join(part for part in (f"Image {self.number}", self.image.view_position) if part)

    @property
    def shown_label(self) -> str:
        """The label whose map is offered first: the one that the network gives."""
        return self.prediction.label if self.prediction else ""


def image_panels(study: Study, opinion: SecondOpinion) -> list[ImagePanel]:
    predictions = {prediction.image_id: prediction for prediction in opinion.predictions}
    return [
        ImagePanel(number, image, predictions.get(image.pk))
        for number, image in enumerate(study.images.all(), start=1)
    ]


@dataclass(frozen=True, slots=True)
class DecisionPanel:
    """What the reader may do now, or what a reader has done.

    ``form`` is ``None`` for those who may not sign and once the study is read; ``kept`` then holds what was typed into a
    form that came too late.
    """

    review: Review | None
    earlier: Sequence[Review]
    is_read: bool
    may_sign: bool
    can_confirm: bool
    is_pending: bool
    decision: str
    form: ReviewForm | None
    kept: ReviewForm | None
    problem: str

    @property
    def is_override(self) -> bool:
        return self.decision == Decision.OVERRIDE

    @property
    def is_open(self) -> bool:
        """Whether the form of one's own reading is unfolded: there is nothing to confirm, or something to mend."""
        return self.form is not None and (self.form.is_bound or not (self.can_confirm or self.is_pending))


def decision_panel(
    user: User, study: Study, opinion: SecondOpinion, *, bound: ReviewForm | None = None, problem: str = ""
) -> DecisionPanel:
    review = current_review(study)
    may_sign = policies.may(user, policies.Act.SIGN_REVIEW, study.site)
    takes_reads = may_sign and not study.is_read
    decision = Decision.OVERRIDE if any(p.is_done for p in opinion.predictions) else Decision.UNAIDED
    return DecisionPanel(
        review=review if study.is_read else None,
        earlier=[earlier for earlier in study.reviews.all() if not study.is_read or earlier != review],
        is_read=study.is_read,
        may_sign=may_sign,
        # While another image is still being analysed the opinion on the study is not the last word.
        can_confirm=takes_reads and opinion.has_label and not opinion.is_pending,
        is_pending=opinion.is_pending,
        decision=decision,
        form=(bound or review_form(study, opinion)) if takes_reads else None,
        kept=bound if bound and not takes_reads else None,
        problem=problem,
    )


def review_form(study: Study, opinion: SecondOpinion, data: object = None) -> ReviewForm:
    """An override offers every label but the network's own."""
    labels = {code: name for code, name in reader_labels(study).items() if code != opinion.label}
    return ReviewForm(data, labels=labels)


@dataclass(frozen=True, slots=True)
class StudyPanels:
    """Everything beside the image that changes by itself; ``poll_seconds`` is ``None`` when nothing is to come.

    ``limits`` are, for each model that gave an opinion, its name and the sentences of its card on what it cannot do.
    """

    status_chip: Chip
    opinion: SecondOpinion
    opinion_chip: Chip
    images: list[ImagePanel]
    limits: list[tuple[str, list[str]]]
    decision: DecisionPanel
    may_run: bool
    poll_seconds: int | None


def study_panels(
    user: User, study: Study, *, bound: ReviewForm | None = None, problem: str = ""
) -> StudyPanels:
    opinion = second_opinion(study)
    return StudyPanels(
        status_chip=study_chip(study),
        opinion=opinion,
        opinion_chip=opinion_chip(opinion),
        images=image_panels(study, opinion),
        limits=_limits(opinion),
        decision=decision_panel(user, study, opinion, bound=bound, problem=problem),
        may_run=policies.may(user, policies.Act.RUN_ANALYSIS, study.site),
        poll_seconds=_poll_seconds(study, opinion),
    )


def _limits(opinion: SecondOpinion) -> list[tuple[str, list[str]]]:
    models = {prediction.model_version_id for prediction in opinion.predictions if prediction.is_done}
    if not models:
        return []
    cards = ModelVersion.objects.filter(pk__in=models).values_list("name", "version", "card__limits")
    return [(f"{name} {version}", limits) for name, version, limits in cards if limits]


def _poll_seconds(study: Study, opinion: SecondOpinion) -> int | None:
    waiting = [prediction.queued_at for prediction in opinion.predictions if not prediction.is_final]
    if waiting:
        waited = (timezone.now() - max(waiting)).total_seconds()
        return QUICK_SECONDS if waited < QUICK_FOR_SECONDS else SLOW_SECONDS
    return None if study.is_read else SLOW_SECONDS
