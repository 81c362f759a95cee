"""What the panels of the study page show. They ask the policies and selectors, and decide nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _

from diagnosis import policies
from diagnosis.models import (
    Decision,
    FirstRead,
    Image,
    Patient,
    Prediction,
    PredictionStatus,
    ReportDraft,
    Review,
    Study,
    User,
)
from diagnosis.selectors.case_record import CaseRecord
from diagnosis.selectors.reading import Reading, opinion_is_ready, reading_in
from diagnosis.selectors.studies import SecondOpinion, current_review, reader_labels, second_opinion
from diagnosis.sentences import Words
from diagnosis.services.reviews import labels_to_sign
from diagnosis.web.chips import NOT_ANALYSED, PREDICTION, Chip, opinion_chip, prediction_chip, study_chip
from diagnosis.web.forms.clinical_notes import LabResultForm, SymptomNoteForm
from diagnosis.web.forms.review import FirstReadForm, ReviewForm
from diagnosis.web.frames import frame_shown
from diagnosis.web.people import offers
from diagnosis.web.report_panel import ReportPanel, draft_choices, report_panel

QUICK_SECONDS = 1
SLOW_SECONDS = 5
READ_SECONDS = 30
"""Also a study that is read may get a late PCR result, an addendum or a second read."""
QUICK_FOR_SECONDS = 60
"""An analysis takes seconds; one that was asked for longer ago waits for a worker, and asking often does not help."""


@dataclass(frozen=True, slots=True)
class EntryForms:
    """The forms beside the timeline; ``None`` where the role does not allow the act."""

    pcr: LabResultForm | None
    symptoms: SymptomNoteForm | None


def entry_forms(user: User, patient: Patient) -> EntryForms:
    may_pcr = offers(user, policies.Act.ADD_LAB_RESULT, patient.site)
    may_symptoms = offers(user, policies.Act.ADD_SYMPTOM_NOTE, patient.site)
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
        return ", ".join(
            part
            for part in (
                _("Image %(number)s") % {"number": self.number},
                self.image.view_position,
                frame_shown(self.image),
            )
            if part
        )

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

    ``first`` is the form of the own read at a site that reads first: until it is locked there is no other. ``choice`` is
    the form with the labels of a second opinion that names several; ``form`` the one for a reading of one's own; ``confirm``
    is what was sent to confirm, and could not be signed. All are
    ``None`` for those who may not sign and once the study is read; ``kept`` then holds what was typed into a form that
    came too late. ``is_ready``: the second opinion has come that the reader of a locked read waits for.
    """

    review: Review | None
    earlier: Sequence[Review]
    is_read: bool
    may_sign: bool
    can_confirm: bool
    is_pending: bool
    opinion_label: str
    decision: str
    reading: Reading
    is_ready: bool
    first: FirstReadForm | None
    choice: ReviewForm | None
    form: ReviewForm | None
    confirm: ReviewForm | None
    kept: FirstReadForm | ReviewForm | None
    problem: str

    @property
    def is_override(self) -> bool:
        return self.decision == Decision.OVERRIDE

    @property
    def is_open(self) -> bool:
        """Whether the form of one's own reading is unfolded: there is nothing to confirm, or something begun or to mend."""
        if self.form is None:
            return False
        if self.form.is_bound or self.is_begun:
            return True
        if self.reading.awaits_reveal:
            return False
        if self.keeps_own:
            return True
        return not (self.can_confirm or self.choice is not None or self.is_pending)

    @property
    def kept_text(self) -> str:
        """What was typed into a form that came too late, to be copied."""
        return kept_text(self.kept) if self.kept else ""

    @property
    def own(self) -> FirstRead | None:
        """What this reader locked before the second opinion was shown."""
        return self.reading.first_read

    @property
    def agrees(self) -> bool:
        """Whether the second opinion is the one label that this reader had locked."""
        return self.can_confirm and self.own is not None and self.own.label == self.opinion_label

    @property
    def keeps_own(self) -> bool:
        """Whether the reading of one's own offers the locked label, for a reader to keep it or not."""
        return self.form is not None and self.own is not None and self.form.offers(self.own.label)

    @property
    def is_begun(self) -> bool:
        """Whether the draft holds something chosen in the form of one's own reading, other than the locked label."""
        if self.form is None:
            return False
        label = self.form["label"].initial
        return bool(self.form["reason"].initial) or bool(
            label and (self.own is None or self.own.label != label)
        )


Bound = FirstReadForm | ReviewForm


def kept_text(form: Bound) -> str:
    """One line for each field that a person has filled in, in the words of the page."""
    lines = []
    for field in form.visible_fields():
        value = field.value()
        if value:
            names = dict(getattr(field.field.widget, "choices", ()))
            lines.append(f"{field.label}: {names.get(value, value)}")
    return "\n".join(lines)


def decision_panel(
    study: Study,
    opinion: SecondOpinion,
    reading: Reading,
    image_set: str,
    *,
    draft: ReportDraft | None = None,
    bound: Bound | None = None,
    problem: str = "",
) -> DecisionPanel:
    """``draft`` is the own one of who looks: its forms begin with what was chosen before."""
    review = current_review(study)
    may_sign = reading.is_reader
    takes_reads = may_sign and not study.is_read
    first, choice, form, confirm = None, None, None, None
    # While another image is still being analysed the opinion on the study is not the last word.
    can_confirm = takes_reads and opinion.has_label and not opinion.is_pending
    chosen = draft_choices(draft)
    if takes_reads and reading.awaits_first_read:
        first = (
            bound if isinstance(bound, FirstReadForm) else first_read_form(study, image_set, chosen=chosen)
        )
    elif takes_reads:
        used_form = bound if isinstance(bound, ReviewForm) else None
        if used_form is not None and used_form.confirms and can_confirm:
            confirm, used_form = used_form, None
        choice, form = _forms(study, opinion, reading, chosen, used_form)
    used = {id(known) for known in (first, choice, form, confirm) if known is not None}
    return DecisionPanel(
        review=review if study.is_read else None,
        earlier=[earlier for earlier in study.reviews.all() if not study.is_read or earlier != review],
        is_read=study.is_read,
        may_sign=may_sign,
        can_confirm=can_confirm,
        is_pending=opinion.is_pending,
        opinion_label=opinion.label,
        decision=_own_decision(opinion),
        reading=reading,
        is_ready=takes_reads and opinion_is_ready(reading, study),
        first=first,
        choice=choice,
        form=form,
        confirm=confirm,
        kept=bound if bound and id(bound) not in used else None,
        problem=problem,
    )


def _own_decision(opinion: SecondOpinion) -> Decision:
    return Decision.OVERRIDE if opinion.possible else Decision.UNAIDED


def _forms(
    study: Study,
    opinion: SecondOpinion,
    reading: Reading,
    chosen: Mapping[str, str],
    bound: ReviewForm | None,
) -> tuple[ReviewForm | None, ReviewForm]:
    """The form to choose among the labels of an open opinion, and the one for any other label; ``bound`` is one of them.

    What the reader had chosen before, or else locked, is chosen already, in the form that offers it.
    """
    decided = bound if bound and bound.decides and opinion.is_open else None
    own = bound if bound and decided is None else None
    choice = None
    if opinion.is_open:
        choice = decided or ReviewForm(
            labels=opinion.possible, decides=True, initial=_begun(reading, chosen, opinion.possible)
        )
    return choice, own or review_form(study, opinion, reading, chosen=chosen)


def _begun(reading: Reading, chosen: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """What a form that offers ``labels`` begins with."""
    locked = reading.first_read.label if reading.first_read else ""
    label = chosen.get("label", locked)
    return {**chosen, "label": label if label in labels else ""}


def review_form(
    study: Study,
    opinion: SecondOpinion,
    reading: Reading,
    data: QueryDict | None = None,
    *,
    chosen: Mapping[str, str] | None = None,
) -> ReviewForm:
    """What was sent, or a form with what was chosen before. To decide means to take one of the labels that an open opinion
    names; every other reading offers the labels that it does not name.
    """
    if data is not None and data.get("decision") == Decision.DECIDE and opinion.is_open:
        return ReviewForm(data, labels=opinion.possible, decides=True)
    labels = {
        code: name for code, name in labels_to_sign(study, reading).items() if code not in opinion.possible
    }
    return ReviewForm(data, labels=labels, initial=_begun(reading, chosen or {}, labels))


def first_read_form(
    study: Study,
    image_set: str,
    data: QueryDict | None = None,
    *,
    chosen: Mapping[str, str] | None = None,
) -> FirstReadForm:
    """What was sent, or a form with what was chosen before, for the images that are on screen."""
    if data is not None:
        data = data.copy()
        data["image_set"] = image_set
    initial = {**(chosen or {}), "image_set": image_set}
    return FirstReadForm(data, labels=reader_labels(study), initial=initial)


@dataclass(frozen=True, slots=True)
class StudyPanels:
    """Everything beside the image that changes by itself.

    ``limits`` are, for each model that gave an opinion, its name and the sentences of its card on what it cannot do.
    """

    status_chip: Chip
    opinion: SecondOpinion
    opinion_chip: Chip
    images: list[ImagePanel]
    limits: list[tuple[str, list[str]]]
    decision: DecisionPanel
    report: ReportPanel
    image_set: str
    may_run: bool
    poll_seconds: int

    @property
    def images_came(self) -> bool:
        """Whether the study holds images by now that are not on screen."""
        return self.image_set != self.decision.reading.image_set

    @property
    def begun(self) -> str:
        """What the decision begins with where nothing is kept of it, as JSON for the script of the report."""
        own = self.decision.own
        return json.dumps({"label": own.label} if own and not self.decision.is_read else {})

    @property
    def waiting_chip(self) -> Chip:
        """For a reader whose own read is locked, and who may know by now that an analysis is on its way."""
        return PREDICTION[PredictionStatus.RUNNING]

    @property
    def said_scores(self) -> list[tuple[str, str, float]]:
        """The scores of the labels that the one image of a study gets: short, beside the reader's own read."""
        done = [prediction for prediction in self.opinion.predictions if prediction.is_done]
        if len(done) != 1:
            return []
        return [score for score in done[0].scores if score[0] in done[0].possible_labels]

    @property
    def shown_images(self) -> list[ImagePanel]:
        """Those that there is a picture of."""
        return [panel for panel in self.images if panel.image.is_shown]

    @property
    def is_deidentified(self) -> bool:
        """Whether de-identified copies are stored in place of what came."""
        return any(panel.image.is_deidentified for panel in self.images)

    @property
    def burnt_in(self) -> list[Words]:
        """What is to be said about text in the pictures, each sentence once."""
        said = (panel.image.burnt_in_warning for panel in self.shown_images)
        return list(dict.fromkeys(sentence for sentence in said if sentence))


def study_panels(
    user: User,
    case: CaseRecord,
    *,
    shown_images: str | None = None,
    bound: Bound | None = None,
    problem: str = "",
) -> StudyPanels:
    """``shown_images`` is the ``Reading.image_set`` of the page that asks for its panels again; a page that shows all images
    leaves it out.
    """
    study = case.study
    opinion = second_opinion(study)
    reading = reading_in(case, is_reader=offers(user, policies.Act.SIGN_REVIEW, study.site))
    image_set = reading.image_set if shown_images is None else shown_images
    draft = case.draft if reading.is_reader else None
    return StudyPanels(
        status_chip=study_chip(study),
        opinion=opinion,
        opinion_chip=opinion_chip(opinion),
        images=image_panels(study, opinion),
        limits=_limits(opinion),
        decision=decision_panel(
            study, opinion, reading, image_set, draft=draft, bound=bound, problem=problem
        ),
        report=report_panel(
            user,
            case,
            draft=draft,
            takes_reads=reading.is_reader and not study.is_read,
            reads_second=reading.is_reader and study.is_read and case.has_second_read,
        ),
        image_set=image_set,
        may_run=offers(user, policies.Act.RUN_ANALYSIS, study.site),
        poll_seconds=_poll_seconds(study, opinion, reading),
    )


def _limits(opinion: SecondOpinion) -> list[tuple[str, list[str]]]:
    models = {
        prediction.model_version: getattr(prediction, "limits", None)
        for prediction in opinion.predictions
        if prediction.is_done
    }
    return [(f"{model.name} {model.version}", limits) for model, limits in models.items() if limits]


def _poll_seconds(study: Study, opinion: SecondOpinion, reading: Reading) -> int:
    waiting = [prediction.queued_at for prediction in opinion.predictions if not prediction.is_final]
    if reading.awaits_reveal and reading.first_read is not None:
        waiting.append(reading.first_read.locked_at)
    if waiting:
        waited = (timezone.now() - max(waiting)).total_seconds()
        return QUICK_SECONDS if waited < QUICK_FOR_SECONDS else SLOW_SECONDS
    return READ_SECONDS if study.is_read else SLOW_SECONDS
