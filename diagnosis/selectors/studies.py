"""Reads of studies that more than one interface needs."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import (
    BooleanField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    TextChoices,
)
from django.utils.translation import gettext_lazy

from diagnosis import policies
from diagnosis.models import (
    FINAL_STATUSES,
    READER_ONLY_LABELS,
    Image,
    LabResult,
    ModelVersion,
    Patient,
    PcrResult,
    Prediction,
    PredictionStatus,
    Review,
    Study,
    StudyStatus,
    SymptomNote,
    User,
)
from diagnosis.models.study import OpinionState as StudyOpinionState
from diagnosis.selectors.cases import hidden_read
from diagnosis.selectors.joined import with_joined
from diagnosis.selectors.worklist import Viewer, patients_with_word, search_conditions, words_of


@dataclasses.dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What the network says about a study as a whole.

    ``possible`` are the labels that are named for any of its images, code → name; empty where nothing is said (yet).
    ``is_unsure``: the model could not rule out a second label for some image. ``is_mixed``: the images get different
    opinions. ``is_hidden``: whatever there is, or is not, must not reach the person who looks (``policies.ai_shown_to``);
    then all else is as if the network had never been asked.
    """

    predictions: tuple[Prediction, ...]
    possible: dict[str, str]
    is_pending: bool
    is_unsure: bool
    is_mixed: bool
    is_hidden: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it names several labels: then there is nothing to confirm, a reader must choose."""
        return len(self.possible) > 1

    @property
    def label(self) -> str:
        """The one label that it names, or empty."""
        return next(iter(self.possible)) if len(self.possible) == 1 else ""

    @property
    def label_display(self) -> str:
        return self.possible.get(self.label, "")

    @property
    def has_label(self) -> bool:
        return bool(self.label)

    @property
    def has_failed(self) -> bool:
        return not self.is_pending and any(p.status == PredictionStatus.FAILED for p in self.predictions)

    @property
    def is_refused(self) -> bool:
        """Whether the model refused every image: there is no second opinion, and none will come by itself."""
        return bool(self.predictions) and all(p.is_refused for p in self.predictions)

    @property
    def token(self) -> str:
        """Names exactly what is on screen: a signature sends it back, and does not count when it has changed."""
        return ",".join(
            sorted(
                f"{p.pk}:{p.status if p.is_final else 'pending'}:{p.label}:{'+'.join(p.possible_labels)}"
                for p in self.predictions
            )
        )


def current_predictions(images: Iterable[Image]) -> list[Prediction]:
    """For each image the newest of its predictions; images without any are left out."""
    newest = []
    for image in images:
        predictions = sorted(image.predictions.all(), key=lambda p: (p.requested_at, str(p.pk)))
        if predictions:
            newest.append(predictions[-1])
    return newest


def second_opinion(study: Study) -> SecondOpinion:
    """Of a study that came through ``studies_with_opinion`` this costs no query, and holds what its viewer may see."""
    predictions = current_predictions(study.images.all())
    done = [prediction for prediction in predictions if prediction.is_done]
    return SecondOpinion(
        predictions=tuple(predictions),
        possible={
            code: prediction.model_version.label_display(code)
            for prediction in done
            for code in prediction.possible_labels
        },
        is_pending=any(prediction.status not in FINAL_STATUSES for prediction in predictions),
        is_unsure=any(prediction.is_unsure for prediction in done),
        is_mixed=len({tuple(prediction.possible_labels) for prediction in done}) > 1,
        is_hidden=is_ai_hidden(study),
    )


def is_ai_hidden(study: Study) -> bool:
    """Whether nothing of the network may reach the viewer for whom ``studies_with_opinion`` gave this study."""
    return not getattr(study, "ai_shown", True)


def shown_status(study: Study) -> StudyStatus:
    """The status as its viewer may see it: “Being analysed”, or no more, would tell when the network has finished."""
    if is_ai_hidden(study) and study.is_being_analysed:
        return StudyStatus.TO_READ
    return StudyStatus(study.status)


def studies_with_status(studies: QuerySet[Study], status: str, *, viewer: User) -> QuerySet[Study]:
    """Those of ``studies`` whose ``shown_status`` for ``viewer`` is this one."""
    shown = policies.ai_shown_to(viewer)
    match status:
        case StudyStatus.ANALYSING:
            return studies.filter(shown, status=StudyStatus.ANALYSING)
        case StudyStatus.TO_READ:
            return studies.filter(Q(status=StudyStatus.TO_READ) | (Q(status=StudyStatus.ANALYSING) & ~shown))
    return studies.filter(status=status)


class OpinionState(TextChoices):
    """What a worklist is narrowed to."""

    PENDING = "pending", gettext_lazy("On its way")
    LABEL = "label", gettext_lazy("One label")
    UNSURE = "unsure", gettext_lazy("Unsure")
    REFUSED = "refused", gettext_lazy("Refused")
    FAILED = "failed", gettext_lazy("Failed")


OPINION_STATES_BY_NEED = tuple(StudyOpinionState.values)
"""What needs attention first, first."""

_UNSURE = Q(possible_labels__1__isnull=False)
_STATES = {
    OpinionState.PENDING: ~Q(status__in=FINAL_STATUSES),
    OpinionState.LABEL: Q(status=PredictionStatus.DONE) & ~_UNSURE,
    OpinionState.UNSURE: Q(status=PredictionStatus.DONE) & _UNSURE,
    OpinionState.REFUSED: Q(status=PredictionStatus.REFUSED),
    OpinionState.FAILED: Q(status=PredictionStatus.FAILED),
}


def studies_with_state(
    studies: QuerySet[Study], state: OpinionState, *, viewer: User | None
) -> QuerySet[Study]:
    """Those of ``studies`` with an image whose newest prediction is in this state, and of which ``viewer`` may know it."""
    newest = Prediction.objects.filter(image=OuterRef("image")).order_by("-requested_at", "-id")
    found = Prediction.objects.filter(_STATES[state], pk=Subquery(newest.values("pk")[:1]))
    # The state of the study is the worst of its images: of most studies it says already that none is in this one.
    worse = OPINION_STATES_BY_NEED[: OPINION_STATES_BY_NEED.index(state.value) + 1]
    return studies.filter(
        Exists(found.filter(image__study=OuterRef("pk"))),
        policies.ai_shown_to(viewer),
        opinion_state__in=worse,
    )


def predictions_shown(viewer: User) -> QuerySet[Prediction]:
    """The predictions of the sites of ``viewer`` that may reach this person now; any other is as if it did not exist."""
    return Prediction.objects.visible_to(viewer).filter(policies.ai_shown_to(viewer, "image__study__"))


def with_ai_shown(rows: QuerySet[Any], *, viewer: User | None, path: str = "") -> QuerySet[Any]:
    """``rows`` with ``ai_shown``: whether the second opinion on their study may reach ``viewer``."""
    return rows.annotate(ai_shown=ExpressionWrapper(policies.ai_shown_to(viewer, path), BooleanField()))


def studies_with_opinion(
    studies: QuerySet[Study], *, viewer: User | None, with_limits: bool = False
) -> QuerySet[Study]:
    """``studies`` with all that a row or a page shows to ``viewer``, in a number of queries that does not grow.

    Predictions that must not reach the viewer are not even loaded. ``None`` is a service that needs all of them.
    ``with_limits``: each prediction has ``limits``, the sentences of its model's card on what that cannot do, or ``None``.
    """
    predictions = Prediction.objects.filter(policies.ai_shown_to(viewer, "image__study__"))
    if with_limits:
        predictions = predictions.annotate(limits=F("model_version__card__limits"))
    latest_pcr = LabResult.objects.filter(patient=OuterRef("patient")).order_by("-collected_at", "-id")
    return (
        with_ai_shown(studies, viewer=viewer)
        .select_related("patient", "site", "submitted_by")
        .prefetch_related(
            Prefetch("images", Image.objects.order_by("created_at", "id")),
            Prefetch(
                "images__predictions",
                predictions.select_related("model_version").defer("activation_maps", "model_version__card"),
            ),
            Prefetch("reviews", reviews_shown(Review.objects.all(), viewer=viewer)),
        )
        .annotate(
            latest_pcr=Subquery(latest_pcr.values("result")[:1]),
            active_labels=Subquery(ModelVersion.objects.filter(is_active=True).values("labels")[:1]),
        )
    )


def reviews_shown(reviews: QuerySet[Review], *, viewer: User | None) -> QuerySet[Review]:
    """``reviews``, oldest first; of those without ``ai_shown`` decision, reason and what was seen tell of the network.

    Left out is the read of a study that ``viewer`` may still read second (``cases.hidden_read``).
    """
    rows = reviews.exclude(hidden_read(viewer, "study__"))
    rows = rows.select_related("reader", "first_read__reveal").order_by("signed_at", "id")
    return with_ai_shown(rows, viewer=viewer, path="study__")


def current_review(study: Study) -> Review | None:
    """The newest signed read: the one that no other follows."""
    reviews = list(study.reviews.all())
    followed = {review.follows_id for review in reviews}
    return next((review for review in reviews if review.pk not in followed), None)


def studies_found(*, user: User, query: str = "") -> list[QuerySet[Study]]:
    """The studies that ``user`` may see, for each hospital; every word of ``query`` must match as on the worklist."""
    viewer = Viewer.of(user)
    words = search_conditions(viewer, query)
    return [Study.objects.filter(*words, site_id=site) for site in viewer.sites]


def studies_in_order(keys: Sequence[UUID], *, viewer: User) -> list[Study]:
    """The studies with these keys in this order, with all that a row shows to ``viewer``."""
    studies = studies_with_opinion(Study.objects.visible_to(viewer).filter(pk__in=keys), viewer=viewer)
    found = {study.pk: study for study in studies}
    return [found[key] for key in keys if key in found]


def pcr_display(result: str | None) -> str:
    return str(PcrResult(result).label) if result else ""


def reader_labels(study: Study) -> dict[str, str]:
    """What a reader may say about ``study``: the labels of the networks that looked at it, then the reader's own."""
    said = [prediction.model_version.labels for prediction in current_predictions(study.images.all())]
    known = said or [_active_labels(study)]
    network = {label["code"]: label["display"] for labels in known for label in labels}
    return {**network, **READER_ONLY_LABELS}


def _active_labels(study: Study) -> list[dict[str, str]]:
    """Of a study that came through ``studies_with_opinion`` without a query."""
    if hasattr(study, "active_labels"):
        return study.active_labels or []
    active = ModelVersion.objects.filter(is_active=True).first()
    return active.labels if active else []


@dataclasses.dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One dated fact about a patient. ``kind`` is ``study``, ``pcr`` or ``symptoms``."""

    kind: str
    at: dt.datetime
    record: Any


def timeline(
    patient: Patient, *, viewer: User, studies: Iterable[Study] | None = None
) -> list[TimelineEntry]:
    """PCR results, symptom notes and studies of ``patient`` as ``viewer`` may see them, newest first.

    ``studies`` are all of them, where they are known already: from ``studies_with_opinion`` for this viewer.
    """
    if studies is None:
        studies = studies_with_opinion(Study.objects.filter(patient=patient), viewer=viewer)
    notes = SymptomNote.objects.filter(patient=patient).select_related("entered_by")
    entries = [
        TimelineEntry("pcr", result.collected_at, result)
        for result in LabResult.objects.filter(patient=patient).select_related("entered_by")
    ]
    entries += [TimelineEntry("symptoms", note.noted_at, note) for note in with_joined(notes, "symptoms")]
    entries += [TimelineEntry("study", study.time, study) for study in studies]
    return sorted(entries, key=lambda entry: entry.at, reverse=True)


def patients_matching(*, user: User, query: str) -> QuerySet[Patient]:
    """Patients that ``user`` may see; every word must begin a part of the name or the record number."""
    patients = Patient.objects.visible_to(user).select_related("site")
    sites = Viewer.of(user).sites
    for word in words_of(query):
        keys = patients_with_word(sites, word)
        patients = patients.none() if keys is None else patients.filter(pk__in=keys)
    return patients.order_by("person_name", "mrn")
