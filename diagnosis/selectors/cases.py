"""What a case is beside its image: the day of the illness, the PCR that counts, what is still open."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable
from uuid import UUID

from django.db.models import (
    Case,
    Exists,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    TextChoices,
    Value,
    When,
)
from django.utils import timezone
from django.utils.translation import gettext_lazy

from diagnosis import policies
from diagnosis.models import (
    UNREAD_STATES,
    CaseRules,
    CriticalResult,
    CriticalState,
    Discrepancy,
    DiscrepancyState,
    LabResult,
    Patient,
    PcrResult,
    Priority,
    SecondRead,
    SecondReadState,
    Study,
    SymptomNote,
    User,
)
from diagnosis.selectors.joined import with_joined

ONSET_COUNTS_DAYS = 60
"""First symptoms longer before an X-ray belong to another illness: the project's own choice."""


def onset_before(notes: Iterable[SymptomNote], day: dt.date) -> dt.date | None:
    """When the illness began that an X-ray of ``day`` shows: as the latest note says that names a day of this illness."""
    earliest = day - dt.timedelta(days=ONSET_COUNTS_DAYS)
    dated = [note for note in notes if note.onset_date and earliest <= note.onset_date <= day]
    return max(dated, key=lambda note: (note.noted_at, str(note.pk))).onset_date if dated else None


def day_of_illness(study: Study, notes: Iterable[SymptomNote] | None = None) -> int | None:
    """Days from the first symptoms, day 0, to the X-ray, by the hospital's calendar; ``None`` where nobody knows.

    Where nobody says when the X-ray was taken, the time of its upload is no substitute.
    """
    if study.performed_at is None:
        return None
    if notes is None:
        notes = SymptomNote.objects.filter(patient=study.patient_id, onset_date__isnull=False)
    day = timezone.localdate(study.performed_at, study.site.tzinfo)
    onset = onset_before(notes, day)
    return (day - onset).days if onset else None


def pcr_window(study: Study, rules: CaseRules) -> tuple[dt.datetime, dt.datetime]:
    """From when to when a sample must have been collected to be compared with the read of ``study``."""
    return (
        study.time - dt.timedelta(days=rules.pcr_days_before),
        study.time + dt.timedelta(days=rules.pcr_days_after),
    )


_COUNTS = (PcrResult.DETECTED, PcrResult.NOT_DETECTED, PcrResult.INDETERMINATE)


def pcr_that_counts(study: Study, rules: CaseRules) -> LabResult | None:
    """Of the results in the window: a detected one outweighs the others, and of equals the newest sample counts.

    A PCR is far more often falsely negative than falsely positive.
    """
    results = LabResult.objects.filter(
        patient=study.patient_id, collected_at__range=pcr_window(study, rules)
    ).order_by("-collected_at", "-id")
    return min(results, key=lambda result: _COUNTS.index(PcrResult(result.result)), default=None)


PRIORITY_RANK = Case(
    When(study__priority=Priority.STAT, then=Value(0)),
    When(study__priority=Priority.URGENT, then=Value(1)),
    default=Value(2),
    output_field=IntegerField(),
)
URGENCY = (PRIORITY_RANK, F("cause_rank"), F("requested_at"), F("pk"))
"""Most urgent first: stat before urgent before routine, then conflicts before wishes before draws, then the oldest."""


class CaseState(TextChoices):
    """What a study still waits for beyond its read."""

    CRITICAL = "critical", gettext_lazy("Critical result open")
    DISCREPANCY = "discrepancy", gettext_lazy("Discrepancy")
    ADJUDICATION = "adjudication", gettext_lazy("To be adjudicated")
    SECOND_READ = "second_read", gettext_lazy("Second read open")


def hidden_read(user: User | None, path: str = "") -> Q:
    """The rows whose signed read must not reach ``user``: a second reader is wanted, and it may still be ``user``.

    ``path`` leads from the row to its study. A study that is to be read anew hides nothing: it has to be read by somebody.
    """
    if user is None or user.is_system:
        return Q(pk__in=[])
    wanted = policies.second_reads_open_to(user).filter(
        study=OuterRef(f"{path}pk" if path else "pk"), state__in=UNREAD_STATES
    )
    readable = Q(**{f"{path}site__in": policies.sites_where(user, policies.Act.READ_SECOND).values("pk")})
    return Q(Exists(wanted)) & Q(**{f"{path}status": "read"}) & readable


def hides_read(user: User, study: Study) -> bool:
    """Whether the signed read of ``study`` must not reach ``user``."""
    return Study.objects.filter(hidden_read(user), pk=study.pk).exists()


def hidden_reads(user: User, study_ids: Collection[UUID]) -> set[UUID]:
    """Those of the studies whose signed read must not reach ``user``; one query."""
    return set(Study.objects.filter(hidden_read(user), pk__in=study_ids).values_list("pk", flat=True))


def discrepancies_shown_to(user: User) -> QuerySet[Discrepancy]:
    """Discrepancies that ``user`` may know of: each tells what the read said."""
    return Discrepancy.objects.visible_to(user).exclude(hidden_read(user, "review__study__"))


def discrepancies_of(user: User, patient: Patient) -> list[Discrepancy]:
    """Those of the patient's reads that ``user`` may know of, with their steps, the oldest first; one query."""
    rows = discrepancies_shown_to(user).filter(lab_result__patient=patient)
    return with_joined(
        rows.select_related("lab_result", "review__reader").order_by("opened_at", "id"), "moves__actor"
    )


_UNRESOLVED = (DiscrepancyState.OPEN, DiscrepancyState.ACKNOWLEDGED)
_TO_ADJUDICATE = (SecondReadState.TO_ADJUDICATE, SecondReadState.ADJUDICATING)


def _of_state(
    state: CaseState, user: User
) -> tuple[QuerySet[Discrepancy | SecondRead | CriticalResult], str]:
    """The open items of this state that ``user`` may know of, and their path to the study."""
    match state:
        case CaseState.CRITICAL:
            return CriticalResult.objects.visible_to(user).filter(state=CriticalState.OPEN), "study"
        case CaseState.DISCREPANCY:
            return discrepancies_shown_to(user).filter(state__in=_UNRESOLVED), "review__study"
        case CaseState.ADJUDICATION:
            return SecondRead.objects.visible_to(user).filter(state__in=_TO_ADJUDICATE), "study"
        case _:
            return SecondRead.objects.visible_to(user).filter(state__in=UNREAD_STATES), "study"


def studies_with_case_state(studies: QuerySet[Study], state: CaseState, user: User) -> QuerySet[Study]:
    """Those of ``studies`` of which ``user`` may know that they are in this state."""
    items, path = _of_state(state, user)
    return studies.filter(Exists(items.filter(**{path: OuterRef("pk")})))


def case_states(user: User, study_ids: Collection[UUID]) -> dict[UUID, tuple[CaseState, ...]]:
    """What each of the studies still waits for, the most urgent first; a study that waits for nothing is left out.

    Four queries, however many studies there are.
    """
    found: dict[UUID, list[CaseState]] = defaultdict(list)
    for state in CaseState:
        items, path = _of_state(state, user)
        for study_id in items.filter(**{f"{path}__in": study_ids}).values_list(path, flat=True).distinct():
            found[study_id].append(state)
    return {study_id: tuple(states) for study_id, states in found.items()}
