"""A PCR result that comes after the signature: compared with the read, which it never changes, and looked into by a person."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from diagnosis import policies
from diagnosis.errors import NotPossible
from diagnosis.models import (
    OPEN_STATES,
    AuditAction,
    CaseRules,
    Discrepancy,
    DiscrepancyDecision,
    DiscrepancyMove,
    DiscrepancyState,
    DiscrepancyVerdict,
    LabResult,
    Patient,
    Review,
    ReviewKind,
    SecondRead,
    SecondReadState,
    Study,
    StudyStatus,
    User,
)
from diagnosis.selectors.cases import hides_read, pcr_window
from diagnosis.services.accounts import system_user
from diagnosis.services.audit import audit_record
from diagnosis.services.case_facts import facts_of, standing_read, whole_study
from diagnosis.services.case_rules import late_pcr_rule
from diagnosis.services.case_transitions import DiscrepancyEvent, discrepancy_next
from diagnosis.services.second_read_queue import queue_arrange
from diagnosis.services.second_reads import conflicts_check

#: What a person may decide; that a PCR agrees is found by the rules.
DECISIONS = tuple(decision for decision in DiscrepancyDecision if decision != DiscrepancyDecision.AGREES)
DECISION_CHOICES = tuple((decision.value, decision.label) for decision in DECISIONS)


def studies_lock(patient: Patient) -> list[Study]:
    """The patient's studies, locked: a signature and a PCR result that come at the same moment see each other."""
    return list(
        Study.objects.select_for_update(of=("self",))
        .select_related("site", "patient")
        .filter(patient=patient)
        .order_by("pk")
    )


def late_pcr_check(*, actor: User, lab_result: LabResult, studies: list[Study]) -> list[Discrepancy]:
    """After ``lab_result`` was added, in its transaction: compare it with every signed read in whose window it was collected.

    ``studies`` are those of ``studies_lock``. Also one that agrees is put on record. Where the two contradict each other a
    second reader is asked for.
    """
    found = []
    for locked in studies:
        if locked.status != StudyStatus.READ:
            continue
        rules = CaseRules.of(locked.site_id)
        earliest, latest = pcr_window(locked, rules)
        if not earliest <= lab_result.collected_at <= latest:
            continue
        study = whole_study(locked)
        review = standing_read(study)
        if review is None:
            continue
        facts = facts_of(study, review, lab_result)
        rule = late_pcr_rule(facts, rules)
        discrepancy = Discrepancy(
            review=review,
            lab_result=lab_result,
            verdict=rule.verdict,
            rule=rule.code,
            facts=facts.as_json(),
        )
        discrepancy.save(force_insert=True)
        audit_record(
            actor=actor,
            action=AuditAction.DISCREPANCY_OPENED,
            site=study.site,
            patient=study.patient,
            target=discrepancy,
            details={"study": str(study.pk), "rule": rule.code, "verdict": rule.verdict.value},
        )
        if rule.verdict == DiscrepancyVerdict.AGREES:
            _move(system_user(), discrepancy, DiscrepancyEvent.RESOLVE, DiscrepancyDecision.AGREES, "")
        conflicts_check(actor=actor, study=study, review=review, rules=rules)
        queue_arrange(site=study.site)
        found.append(discrepancy)
    return found


@transaction.atomic
def discrepancy_acknowledge(*, actor: User, discrepancy: Discrepancy, note: str = "") -> Discrepancy:
    """Say that ``actor`` looks into it. Raises ``Conflict`` when somebody was faster."""
    discrepancy = _locked(actor, discrepancy)
    _move(actor, discrepancy, DiscrepancyEvent.ACKNOWLEDGE, "", _note(note))
    return discrepancy


@transaction.atomic
def discrepancy_resolve(
    *, actor: User, discrepancy: Discrepancy, decision: str, note: str = ""
) -> Discrepancy:
    """Close it with what was decided. The signed read stays as it was: a correction is signed by itself, before this.

    Raises ``ValidationError`` with field errors, ``Conflict`` when it is resolved already.
    """
    discrepancy = _locked(actor, discrepancy)
    if decision not in DECISIONS:
        raise ValidationError({"decision": _("Choose what was decided.")})
    study = discrepancy.review.study
    if decision == DiscrepancyDecision.CORRECTED and not _corrected_since(discrepancy):
        raise ValidationError(
            {"decision": _("No addendum or correction was signed since this result came. Sign it first.")}
        )
    if decision == DiscrepancyDecision.SECOND_READER and not _read_second(study):
        raise ValidationError(
            {
                "decision": _(
                    "No second read of this study was asked for. Ask for one first, on the study's page."
                )
            }
        )
    note = _note(note)
    if decision == DiscrepancyDecision.STANDS and not note:
        raise ValidationError({"note": _("Write why the read stands although the PCR contradicts it.")})
    _move(actor, discrepancy, DiscrepancyEvent.RESOLVE, decision, note)
    return discrepancy


def _corrected_since(discrepancy: Discrepancy) -> bool:
    later = Review.objects.filter(study=discrepancy.review.study_id, signed_at__gte=discrepancy.opened_at)
    return later.filter(kind__in=(ReviewKind.ADDENDUM, ReviewKind.CORRECTION)).exists()


def _read_second(study: Study) -> bool:
    states = (*OPEN_STATES, SecondReadState.AGREED, SecondReadState.ADJUDICATED)
    return SecondRead.objects.filter(study=study, state__in=states).exists()


def _note(note: str) -> str:
    note = note.strip()
    if len(note) > 10_000:
        raise ValidationError({"note": _("Write at most 10,000 characters.")})
    return note


def _locked(actor: User, discrepancy: Discrepancy) -> Discrepancy:
    study = discrepancy.review.study
    policies.require(actor, policies.Act.RESOLVE_DISCREPANCY, study.site)
    if hides_read(actor, study):
        raise NotPossible(
            _(
                "You may still read this study second, so its read is hidden from you. "
                "Ask to see it first, or leave it to others."
            )
        )
    return (
        Discrepancy.objects.select_for_update(of=("self",))
        .select_related("review__study__site", "review__study__patient", "lab_result")
        .get(pk=discrepancy.pk)
    )


def _move(actor: User, discrepancy: Discrepancy, event: DiscrepancyEvent, decision: str, note: str) -> None:
    before = DiscrepancyState(discrepancy.state)
    discrepancy.state = discrepancy_next(before, event)
    discrepancy.save(update_fields=["state"])
    DiscrepancyMove.objects.create(
        discrepancy=discrepancy,
        before=before,
        after=discrepancy.state,
        actor=actor,
        decision=decision,
        note=note,
    )
    study = discrepancy.review.study
    audit_record(
        actor=actor,
        action=AuditAction.DISCREPANCY_MOVED,
        site=study.site,
        patient=study.patient,
        target=discrepancy,
        details={
            "study": str(study.pk),
            "before": before.value,
            "after": str(discrepancy.state),
            "decision": str(decision),
        },
    )
