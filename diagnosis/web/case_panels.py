"""What stands beside a study beyond its read: the second read, late PCR results, critical results. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from django.utils import timezone

from diagnosis import policies
from diagnosis.models import (
    CriticalResult,
    Discrepancy,
    Review,
    SecondRead,
    SecondReadCauseKind,
    SecondReadOpinion,
    SecondReadState,
    Study,
    User,
)
from diagnosis.selectors.case_record import CaseRecord
from diagnosis.selectors.critical_results import critical_findings, critical_results_of, people_to_tell
from diagnosis.selectors.reading import first_read_in, image_set_of
from diagnosis.selectors.second_reads import second_read_of
from diagnosis.selectors.studies import current_review, reader_labels
from diagnosis.services.case_words import cause_lines, discrepancy_words
from diagnosis.services.signing import signature_is_asked
from diagnosis.web.chips import Chip
from diagnosis.web.forms.cases import (
    CriticalCancelForm,
    CriticalFlagForm,
    CriticalToldForm,
    DiscrepancyForm,
    SecondReadForm,
    SecondReadRequestForm,
    WithdrawForm,
)
from diagnosis.web.people import offers
from diagnosis.web.report_panel import draft_choices

SECOND_READ_CHIPS = {
    SecondReadState.HELD: Chip("hourglass", SecondReadState.HELD.label, "neutral"),
    SecondReadState.WAITING: Chip("eye", SecondReadState.WAITING.label, "attention"),
    SecondReadState.TAKEN: Chip("eye", SecondReadState.TAKEN.label, "progress"),
    SecondReadState.TO_ADJUDICATE: Chip("warning", SecondReadState.TO_ADJUDICATE.label, "alert"),
    SecondReadState.ADJUDICATING: Chip("warning", SecondReadState.ADJUDICATING.label, "progress"),
    SecondReadState.AGREED: Chip("check", SecondReadState.AGREED.label, "settled"),
    SecondReadState.ADJUDICATED: Chip("check", SecondReadState.ADJUDICATED.label, "settled"),
    SecondReadState.CANCELLED: Chip("dash", SecondReadState.CANCELLED.label, "neutral"),
}


@dataclass(frozen=True, slots=True)
class SecondReadPanel:
    """``form`` is the second reader's or the adjudicator's own. ``hides``: the first read is hidden from who looks.

    ``standing_label`` is what the report says now, after its corrections.
    """

    second_read: SecondRead | None
    chip: Chip | None
    hides: bool
    is_mine: bool
    may_take: bool
    causes: Sequence[str]
    review: Review | None
    standing_label: str
    opinions: Sequence[SecondReadOpinion]
    form: SecondReadForm | None
    asks_password: bool
    request_form: SecondReadRequestForm | None
    withdraw_form: WithdrawForm | None
    problem: str = ""

    @property
    def is_shown(self) -> bool:
        return self.second_read is not None or self.request_form is not None

    @property
    def is_adjudication(self) -> bool:
        return self.second_read is not None and self.second_read.wants_adjudication

    @property
    def decides_differently(self) -> bool:
        """Whether the last word is another label than that of the report as it stands."""
        if self.second_read is None or self.second_read.is_open or not self.opinions:
            return False
        return self.opinions[-1].label != self.standing_label


def second_read_panel(
    user: User,
    case: CaseRecord,
    *,
    bound: SecondReadForm | None = None,
    request: SecondReadRequestForm | None = None,
    withdraw: WithdrawForm | None = None,
    problem: str = "",
) -> SecondReadPanel:
    study, hides = case.study, case.hides_read
    second_read = second_read_of(study)
    standing = current_review(study)
    is_mine = second_read is not None and second_read.holder_id == user.pk
    may_ask = offers(user, policies.Act.REQUEST_SECOND_READ, study.site)
    may_read = case.may_read_second and offers(user, policies.Act.READ_SECOND, study.site)
    # A possible second reader who is told less does not ask for another one.
    can_ask = may_ask and study.is_read and second_read is None
    wishes = list(second_read.causes.all()) if second_read is not None else []
    only_own_wish = bool(wishes) and all(
        cause.kind == SecondReadCauseKind.REQUESTED and cause.asked_by_id == user.pk for cause in wishes
    )
    takeable = second_read is not None and second_read.state in (
        SecondReadState.WAITING,
        SecondReadState.TO_ADJUDICATE,
    )
    return SecondReadPanel(
        second_read=second_read,
        chip=SECOND_READ_CHIPS[SecondReadState(second_read.state)] if second_read else None,
        hides=hides,
        is_mine=is_mine,
        may_take=takeable and study.is_read and may_read,
        causes=[] if second_read is None or hides else cause_lines(second_read, ai_shown=_ai_shown(study)),
        review=second_read.review if second_read is not None and not hides else None,
        standing_label=standing.label if standing is not None else "",
        opinions=[] if second_read is None or hides else list(second_read.opinions.all()),
        form=(bound or second_read_form(case)) if is_mine else None,
        asks_password=is_mine and signature_is_asked(study),
        request_form=(request or SecondReadRequestForm()) if can_ask else None,
        withdraw_form=(withdraw or WithdrawForm())
        if second_read is not None and not is_mine and second_read.is_unread and only_own_wish
        else None,
        problem=problem,
    )


def second_read_form(case: CaseRecord, data: object = None) -> SecondReadForm:
    """What was sent, or an empty form; a read that is locked already is filled in."""
    image_set = image_set_of(case.study.images.all())
    locked = first_read_in(case, image_set)
    initial = {**draft_choices(case.draft), "image_set": image_set}
    if locked is not None:
        initial |= {"label": locked.label, "confidence": locked.confidence}
    return SecondReadForm(data, labels=reader_labels(case.study), initial=initial)


def _ai_shown(study: Study) -> bool:
    return bool(getattr(study, "ai_shown", False))


@dataclass(frozen=True, slots=True)
class DiscrepancyLine:
    """One late PCR result beside a read. ``form`` is there for who may decide, while there is something to decide."""

    discrepancy: Discrepancy
    words: str
    form: DiscrepancyForm | None
    problem: str = ""


def discrepancy_lines(
    user: User,
    study: Study,
    known: Iterable[Discrepancy],
    *,
    bound: tuple[Discrepancy, DiscrepancyForm] | None = None,
    problem: tuple[Discrepancy, str] | None = None,
) -> list[DiscrepancyLine]:
    """Of one study, those to be looked into first; nothing while its read is hidden from ``user``.

    ``known`` are ``discrepancies_of`` its patient for this user.
    """
    rows = [row for row in known if row.review.study_id == study.pk]
    may_decide = offers(user, policies.Act.RESOLVE_DISCREPANCY, study.site)
    lines = []
    for row in sorted(rows, key=lambda row: row.is_resolved):
        form = DiscrepancyForm(number=row.pk) if may_decide and not row.is_resolved else None
        if bound is not None and bound[0].pk == row.pk and form is not None:
            form = bound[1]
        said = problem[1] if problem is not None and problem[0].pk == row.pk else ""
        lines.append(DiscrepancyLine(row, discrepancy_words(row), form, said))
    return lines


@dataclass(frozen=True)
class CriticalLine:
    """One critical result with what may be done about it."""

    result: CriticalResult
    may_acknowledge: bool
    told_form: CriticalToldForm | None
    cancel_form: CriticalCancelForm | None
    problem: str = ""

    @cached_property
    def people(self) -> list[User]:
        """Whom the portal tells, in this order; asked for where it is shown."""
        return people_to_tell(self.result) if self.result.is_open else []

    @property
    def next_person(self) -> User | None:
        """Who is told when nobody acknowledges."""
        return self.people[self.result.next_step % len(self.people)] if self.people else None

    @property
    def nobody_to_tell(self) -> bool:
        return self.result.is_open and not self.people

    @property
    def is_late(self) -> bool:
        """Whether the time for the next person has come, and no worker has told anybody yet."""
        return self.result.escalate_at is not None and self.result.escalate_at < timezone.now()


def critical_line(
    user: User,
    result: CriticalResult,
    *,
    told: CriticalToldForm | None = None,
    cancel: CriticalCancelForm | None = None,
    problem: str = "",
) -> CriticalLine:
    site = result.study.site
    may_note = offers(user, policies.Act.ACKNOWLEDGE_CRITICAL, site)
    may_cancel = offers(user, policies.Act.FLAG_CRITICAL, site)
    return CriticalLine(
        result=result,
        may_acknowledge=may_note and result.is_open and result.flagged_by_id != user.pk,
        told_form=(told or CriticalToldForm(number=result.pk))
        if may_note and not result.is_cancelled
        else None,
        cancel_form=(cancel or CriticalCancelForm(number=result.pk))
        if may_cancel and not result.is_cancelled
        else None,
        problem=problem,
    )


@dataclass(frozen=True, slots=True)
class CriticalPanel:
    """``form`` is there for who may flag; ``is_flagged``: one has just been flagged."""

    lines: Sequence[CriticalLine]
    form: CriticalFlagForm | None
    problem: str = ""
    is_flagged: bool = False

    @property
    def is_shown(self) -> bool:
        return bool(self.lines) or self.form is not None

    @property
    def is_unfolded(self) -> bool:
        return bool(self.problem) or (self.form is not None and self.form.is_bound)


def critical_panel(
    user: User,
    study: Study,
    *,
    bound: CriticalFlagForm | None = None,
    line: CriticalLine | None = None,
    problem: str = "",
    is_flagged: bool = False,
) -> CriticalPanel:
    lines = [critical_line(user, result) for result in critical_results_of(study)]
    may_flag = offers(user, policies.Act.FLAG_CRITICAL, study.site)
    return CriticalPanel(
        lines=[line if line is not None and line.result.pk == one.result.pk else one for one in lines],
        form=(bound or CriticalFlagForm(findings=critical_findings(study.site))) if may_flag else None,
        problem=problem,
        is_flagged=is_flagged,
    )


@dataclass(frozen=True, slots=True)
class CasePanels:
    second_read: SecondReadPanel
    discrepancies: Sequence[DiscrepancyLine]
    critical: CriticalPanel


def case_panels(user: User, case: CaseRecord, late: Iterable[Discrepancy]) -> CasePanels:
    """``late`` are ``discrepancies_of`` the patient for this user."""
    return CasePanels(
        second_read=second_read_panel(user, case),
        discrepancies=discrepancy_lines(user, case.study, late),
        critical=critical_panel(user, case.study),
    )
