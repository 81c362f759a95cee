"""What the panels of the study page show. They ask the policies and selectors, and decide nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import QueryDict
from django.utils import timezone

from diagnosis import policies
from diagnosis.models import Decision, Image, ModelVersion, Patient, Prediction, Review, Study, User
from diagnosis.selectors.studies import SecondOpinion, current_review, reader_labels, second_opinion
from diagnosis.web.chips import NOT_ANALYSED, Chip, opinion_chip, prediction_chip, study_chip
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
        if not self.image.is_analysed:
            return NOT_ANALYSED
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

    ``choice`` is the form with the labels of a second opinion that names several; ``form`` the one for a reading of one's
    own. Both are ``None`` for those who may not sign and once the study is read; ``kept`` then holds what was typed into
    a form that came too late.
    """

    review: Review | None
    earlier: Sequence[Review]
    is_read: bool
    may_sign: bool
    can_confirm: bool
    is_pending: bool
    decision: str
    choice: ReviewForm | None
    form: ReviewForm | None
    kept: ReviewForm | None
    problem: str

    @property
    def is_override(self) -> bool:
        return self.decision == Decision.OVERRIDE

    @property
    def is_open(self) -> bool:
        """Whether the form of one's own reading is unfolded: there is nothing to confirm, or something to mend."""
        if self.form is None:
            return False
        return self.form.is_bound or not (self.can_confirm or self.choice is not None or self.is_pending)


def decision_panel(
    user: User, study: Study, opinion: SecondOpinion, *, bound: ReviewForm | None = None, problem: str = ""
) -> DecisionPanel:
    review = current_review(study)
    may_sign = policies.may(user, policies.Act.SIGN_REVIEW, study.site)
    takes_reads = may_sign and not study.is_read
    choice, form = _forms(study, opinion, bound) if takes_reads else (None, None)
    return DecisionPanel(
        review=review if study.is_read else None,
        earlier=[earlier for earlier in study.reviews.all() if not study.is_read or earlier != review],
        is_read=study.is_read,
        may_sign=may_sign,
        # While another image is still being analysed the opinion on the study is not the last word.
        can_confirm=takes_reads and opinion.has_label and not opinion.is_pending,
        is_pending=opinion.is_pending,
        decision=_own_decision(opinion),
        choice=choice,
        form=form,
        kept=bound if bound and not takes_reads else None,
        problem=problem,
    )


def _own_decision(opinion: SecondOpinion) -> Decision:
    return Decision.OVERRIDE if opinion.possible else Decision.UNAIDED


def _forms(
    study: Study, opinion: SecondOpinion, bound: ReviewForm | None
) -> tuple[ReviewForm | None, ReviewForm]:
    """The form to choose among the labels of an open opinion, and the one for any other label; ``bound`` is one of them."""
    chosen = bound if bound and bound.decides and opinion.is_open else None
    own = bound if bound and chosen is None else None
    choice = (chosen or ReviewForm(labels=opinion.possible, decides=True)) if opinion.is_open else None
    return choice, own or review_form(study, opinion)


def review_form(study: Study, opinion: SecondOpinion, data: QueryDict | None = None) -> ReviewForm:
    """What was sent, or an empty form. To decide means to take one of the labels that an open opinion names; every other
    reading offers the labels that it does not name.
    """
    if data is not None and data.get("decision") == Decision.DECIDE and opinion.is_open:
        return ReviewForm(data, labels=opinion.possible, decides=True)
    labels = {code: name for code, name in reader_labels(study).items() if code not in opinion.possible}
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

    @property
    def shown_images(self) -> list[ImagePanel]:
        """Those that there is a picture of."""
        return [panel for panel in self.images if panel.image.is_shown]

    @property
    def is_deidentified(self) -> bool:
        """Whether de-identified copies are stored in place of what came."""
        return any(panel.image.is_deidentified for panel in self.images)

    @property
    def burnt_in(self) -> list[str]:
        """What is to be said about text in the pictures, each sentence once."""
        said = (panel.image.burnt_in_warning for panel in self.shown_images)
        return list(dict.fromkeys(sentence for sentence in said if sentence))


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
