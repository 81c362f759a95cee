"""All that the page of a study shows of the study and its patient, asked for together."""

from __future__ import annotations

import dataclasses
import uuid

from django.db.models import Exists, FilteredRelation, OuterRef, Q, Subquery

from diagnosis import policies
from diagnosis.models import FirstRead, ReportDraft, SecondRead, SecondReadState, Study, User
from diagnosis.selectors.cases import hidden_read
from diagnosis.selectors.studies import studies_with_opinion


@dataclasses.dataclass(frozen=True, slots=True)
class CaseRecord:
    """A study as one person may see it.

    ``studies`` are all of its patient, the study among them. ``first_reads`` and ``draft`` are the person's own of this study.
    ``hides_read``: the signed read must not reach the person (``cases.hidden_read``). ``may_read_second``: an open second read
    may still be the person's (``policies.second_reads_open_to``); of role and state it says nothing. ``has_second_read``: the
    person has taken it and not given it yet.
    """

    study: Study
    studies: list[Study]
    first_reads: list[FirstRead]
    draft: ReportDraft | None
    hides_read: bool
    may_read_second: bool
    has_second_read: bool


def case_record(user: User, study_id: uuid.UUID) -> CaseRecord | None:
    """``None`` where there is no such study for ``user``.

    Four queries, however many studies, images and reads there are: the page shows the patient's other studies beside this
    one, so all of them come together, and what the person has of the own comes joined to the study.
    """
    this = Study.objects.filter(pk=OuterRef("pk"))
    taken = SecondRead.objects.filter(holder=user, state=SecondReadState.TAKEN)
    # One value, looked up first: joined, the planner gave up its order of so many joins and read all studies.
    patient = Study.objects.filter(pk=study_id).values("patient_id")
    studies = studies_with_opinion(
        Study.objects.visible_to(user).filter(patient_id=Subquery(patient[:1])), viewer=user, with_limits=True
    )
    rows = list(
        studies.annotate(  # type: ignore[misc]  # The checker knows no relation that the query itself defines.
            own_draft=FilteredRelation(
                "report_drafts", condition=Q(report_drafts__author=user, report_drafts__study=study_id)
            ),
            own_read=FilteredRelation(
                "first_reads", condition=Q(first_reads__reader=user, first_reads__study=study_id)
            ),
            is_read_hidden=Exists(this.filter(hidden_read(user))),
            may_read_second=Exists(policies.second_reads_open_to(user).filter(study=OuterRef("pk"))),
            has_second_read=Exists(taken.filter(study=OuterRef("pk"))),
        ).select_related("patient__site", "own_draft__basis", "own_read__reveal")
    )
    # The study comes once for each of the person's own reads of it.
    ours = [row for row in rows if row.pk == study_id]
    if not ours:
        return None
    study = ours[0]
    # A row without one has no such attribute.
    first_reads = [row.own_read for row in ours if hasattr(row, "own_read")]
    draft = getattr(study, "own_draft", None)
    for first_read in first_reads:
        first_read.reader = user
    if draft is not None:
        draft.author = user
    return CaseRecord(
        study=study,
        studies=[study, *(row for row in rows if row.pk != study_id)],
        first_reads=first_reads,
        draft=draft,
        hides_read=study.is_read_hidden,
        may_read_second=study.may_read_second,
        has_second_read=study.has_second_read,
    )
