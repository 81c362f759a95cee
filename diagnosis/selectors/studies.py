"""Reads of studies that more than one interface needs."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db.models import OuterRef, Prefetch, Q, QuerySet, Subquery

from diagnosis.models import (
    FINAL_STATUSES,
    READER_ONLY_LABELS,
    Image,
    LabResult,
    ModelVersion,
    Patient,
    PcrResult,
    Prediction,
    Review,
    Study,
    SymptomNote,
    User,
)


@dataclasses.dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What the network says about a study as a whole.

    ``label`` is empty where it says nothing (yet): no analysis is done, or the images' labels differ (``is_mixed``).
    """

    predictions: tuple[Prediction, ...]
    label: str
    label_display: str
    is_pending: bool
    is_mixed: bool

    @property
    def has_label(self) -> bool:
        return bool(self.label)

    @property
    def has_failed(self) -> bool:
        return not self.is_pending and any(p.can_run_again for p in self.predictions)

    @property
    def prediction_ids(self) -> list[str]:
        return [str(prediction.pk) for prediction in self.predictions]

    @property
    def token(self) -> str:
        """Names exactly what is on screen: a signature sends it back, and does not count when it has changed."""
        return ",".join(
            sorted(f"{p.pk}:{p.status if p.is_final else 'pending'}:{p.label}" for p in self.predictions)
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
    """Of a study that came through ``studies_with_opinion`` this costs no query."""
    predictions = current_predictions(study.images.all())
    done = [prediction for prediction in predictions if prediction.is_done]
    labels = {prediction.label for prediction in done}
    agreed = done[0] if len(labels) == 1 else None
    return SecondOpinion(
        predictions=tuple(predictions),
        label=agreed.label if agreed else "",
        label_display=agreed.label_display if agreed else "",
        is_pending=any(prediction.status not in FINAL_STATUSES for prediction in predictions),
        is_mixed=len(labels) > 1,
    )


def studies_with_opinion(studies: QuerySet[Study]) -> QuerySet[Study]:
    """``studies`` with all that a row or a page shows, in a number of queries that does not grow."""
    predictions = Prediction.objects.select_related("model_version").defer(
        "activation_maps", "model_version__card"
    )
    latest_pcr = LabResult.objects.filter(patient=OuterRef("patient")).order_by("-collected_at", "-id")
    return (
        studies.select_related("patient", "site", "submitted_by")
        .prefetch_related(
            Prefetch("images", Image.objects.order_by("created_at", "id")),
            Prefetch("images__predictions", predictions),
            Prefetch("reviews", Review.objects.select_related("reader").order_by("signed_at", "id")),
        )
        .annotate(latest_pcr=Subquery(latest_pcr.values("result")[:1]))
    )


def current_review(study: Study) -> Review | None:
    """The newest signed read: the one that no other follows."""
    reviews = list(study.reviews.all())
    followed = {review.follows_id for review in reviews}
    return next((review for review in reviews if review.pk not in followed), None)


def words_of(query: str) -> list[str]:
    """What is looked up: “Family, Given” as it is shown finds what is stored as Family^Given."""
    return query.replace("\x00", "").replace(",", " ").split()


def worklist(*, user: User, query: str = "") -> QuerySet[Study]:
    """The studies that ``user`` may see, newest first; every word of ``query`` must match name, record number or accession."""
    studies = Study.objects.visible_to(user)
    for word in words_of(query):
        studies = studies.filter(
            Q(patient__person_name__icontains=word)
            | Q(patient__mrn__icontains=word)
            | Q(accession_number__icontains=word)
            | Q(study_instance_uid=word)
        )
    return studies_with_opinion(studies).order_by("-created_at", "-id")


def pcr_display(result: str | None) -> str:
    return PcrResult(result).label if result else ""


def reader_labels(study: Study) -> dict[str, str]:
    """What a reader may say about ``study``: the labels of the networks that looked at it, then the reader's own."""
    versions = [prediction.model_version for prediction in current_predictions(study.images.all())]
    versions = versions or list(ModelVersion.objects.filter(is_active=True))
    network = {label["code"]: label["display"] for version in versions for label in version.labels}
    return {**network, **READER_ONLY_LABELS}


@dataclasses.dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One dated fact about a patient. ``kind`` is ``study``, ``pcr`` or ``symptoms``."""

    kind: str
    at: dt.datetime
    record: Any


def timeline(patient: Patient) -> list[TimelineEntry]:
    """PCR results, symptom notes and studies of ``patient``, newest first."""
    entries = [
        TimelineEntry("pcr", result.collected_at, result)
        for result in LabResult.objects.filter(patient=patient).select_related("entered_by")
    ]
    entries += [
        TimelineEntry("symptoms", note.noted_at, note)
        for note in SymptomNote.objects.filter(patient=patient)
        .select_related("entered_by")
        .prefetch_related("symptoms")
    ]
    entries += [
        TimelineEntry("study", study.time, study)
        for study in studies_with_opinion(Study.objects.filter(patient=patient))
    ]
    return sorted(entries, key=lambda entry: entry.at, reverse=True)


def patients_matching(*, user: User, query: str) -> QuerySet[Patient]:
    """Patients that ``user`` may see; every word must match the name or the record number."""
    patients = Patient.objects.visible_to(user).select_related("site")
    for word in words_of(query):
        patients = patients.filter(Q(person_name__icontains=word) | Q(mrn__icontains=word))
    return patients.order_by("person_name", "mrn")
