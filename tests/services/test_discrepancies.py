"""A PCR that comes after the signature is compared with the read, changes nothing of it, and is settled by a person."""

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import (
    AuditEvent,
    CaseRules,
    Discrepancy,
    DiscrepancyMove,
    Review,
    SecondRead,
    Study,
)
from diagnosis.selectors.cases import CaseState, case_states, day_of_illness, discrepancies_shown_to
from diagnosis.services.case_words import discrepancy_words
from diagnosis.services.clinical_notes import lab_result_add
from diagnosis.services.discrepancies import discrepancy_acknowledge, discrepancy_resolve
from tests.factories import PatientFactory, ReviewFactory, StudyFactory, SymptomNoteFactory, UserFactory

TAKEN = timezone.now() - dt.timedelta(days=2)


@pytest.fixture
def patient(site):
    return PatientFactory(site=site)


@pytest.fixture
def review(patient, radiologist):
    """COVID-19, signed by the radiologist on day 9."""
    SymptomNoteFactory(
        patient=patient, onset_date=timezone.localdate(TAKEN, patient.site.tzinfo) - dt.timedelta(days=9)
    )
    study = StudyFactory(patient=patient, status="read", performed_at=TAKEN)
    return ReviewFactory(study=study, reader=radiologist, label="covid19", label_display="COVID-19")


def add_pcr(actor, patient, result, days=0.0):
    return lab_result_add(
        actor=actor, patient=patient, result=result, collected_at=TAKEN + dt.timedelta(days=days)
    )


def test_a_late_pcr_that_contradicts_opens_an_item_and_asks_for_a_second_reader(review, patient, doctor):
    before = Review.objects.values().get()
    result = add_pcr(doctor, patient, "not_detected")
    item = Discrepancy.objects.get()
    assert (item.review, item.lab_result, item.verdict, item.state) == (review, result, "contradicts", "open")
    assert discrepancy_words(item) == "PCR negative, reader COVID-19, day 9: second reader"
    assert SecondRead.objects.get().review == review
    assert Review.objects.values().get() == before
    assert Study.objects.get().is_read


def test_one_that_agrees_is_on_record_as_compared_and_settled_by_the_rules(review, patient, doctor):
    add_pcr(doctor, patient, "detected")
    item = Discrepancy.objects.get()
    assert (item.verdict, item.state) == ("agrees", "resolved")
    move = item.moves.get()
    assert (move.actor.is_system, move.decision) == (True, "agrees")
    assert not SecondRead.objects.exists()


def test_an_indeterminate_one_is_open_and_asks_for_nobody(review, patient, doctor):
    add_pcr(doctor, patient, "indeterminate")
    assert Discrepancy.objects.get().verdict == "inconclusive"
    assert Discrepancy.objects.get().state == "open"
    assert not SecondRead.objects.exists()


def test_every_further_result_is_an_item_of_its_own_and_none_is_compared_twice(review, patient, doctor):
    first = add_pcr(doctor, patient, "not_detected")
    add_pcr(doctor, patient, "not_detected", days=1)
    assert Discrepancy.objects.count() == 2
    with pytest.raises(IntegrityError), transaction.atomic():
        Discrepancy.objects.create(review=review, lab_result=first, verdict="agrees", rule="x", facts={})


@pytest.mark.parametrize(("days", "count"), [(-3.1, 0), (-2.9, 1), (1.9, 1)])
def test_only_a_sample_of_the_window_is_compared(review, patient, doctor, days, count):
    add_pcr(doctor, patient, "not_detected", days=days)
    assert Discrepancy.objects.count() == count


def test_the_window_is_the_sites(review, patient, doctor, site):
    CaseRules.objects.create(site=site, pcr_days_before=10)
    add_pcr(doctor, patient, "not_detected", days=-9)
    assert Discrepancy.objects.count() == 1


def test_a_study_that_is_not_read_has_nothing_to_compare(patient, doctor):
    StudyFactory(patient=patient, status="to_read", performed_at=TAKEN)
    add_pcr(doctor, patient, "not_detected")
    assert not Discrepancy.objects.exists()


def test_of_two_studies_in_the_window_each_is_compared(review, patient, doctor, radiologist):
    other = StudyFactory(patient=patient, status="read", performed_at=TAKEN + dt.timedelta(days=1))
    ReviewFactory(study=other, reader=radiologist)  # Normal.
    add_pcr(doctor, patient, "not_detected")
    assert sorted(Discrepancy.objects.values_list("verdict", flat=True)) == ["agrees", "contradicts"]


@pytest.fixture
def item(review, patient, doctor):
    add_pcr(doctor, patient, "not_detected")
    return Discrepancy.objects.get()


def test_who_took_it_up_and_what_was_decided_when_is_kept(item, radiologist):
    discrepancy_acknowledge(actor=radiologist, discrepancy=item)
    discrepancy_resolve(
        actor=radiologist, discrepancy=item, decision="stands", note="Sampled late in the illness."
    )
    steps = item.moves.values_list("before", "after", "actor__username", "decision", "note")
    assert list(steps) == [
        ("open", "acknowledged", "radiologist", "", ""),
        ("acknowledged", "resolved", "radiologist", "stands", "Sampled late in the illness."),
    ]
    with pytest.raises(DatabaseError), transaction.atomic():
        DiscrepancyMove.objects.update(note="x")
    assert [e.details["after"] for e in AuditEvent.objects.filter(action="discrepancy_moved").order_by("seq")] == [
        "acknowledged", "resolved",
    ]  # fmt: skip


def test_who_comes_second_is_told_so(item, radiologist):
    discrepancy_resolve(actor=radiologist, discrepancy=item, decision="repeat_pcr")
    with pytest.raises(Conflict, match="now “Resolved”"):
        discrepancy_acknowledge(actor=radiologist, discrepancy=item)


@pytest.mark.parametrize(
    ("decision", "field", "sentence"),
    [
        ("", "decision", "Choose what was decided"),
        ("agrees", "decision", "Choose what was decided"),
        ("corrected", "decision", "No addendum or correction was signed"),
        ("stands", "note", "Write why the read stands"),
    ],
)
def test_a_decision_that_is_not_true_or_not_explained_is_refused(
    item, radiologist, decision, field, sentence
):
    with pytest.raises(ValidationError) as error:
        discrepancy_resolve(actor=radiologist, discrepancy=item, decision=decision)
    assert sentence in error.value.message_dict[field][0]
    item.refresh_from_db()
    assert item.state == "open"


def test_it_is_corrected_once_a_correction_is_signed(item, review, radiologist):
    ReviewFactory(
        study=review.study, reader=radiologist, follows=review, kind="correction", change_reason="PCR"
    )
    discrepancy_resolve(actor=radiologist, discrepancy=item, decision="corrected")
    assert Discrepancy.objects.get().is_resolved


def test_the_second_reader_may_be_left_to_decide(item, radiologist):
    discrepancy_resolve(actor=radiologist, discrepancy=item, decision="second_reader")
    assert Discrepancy.objects.get().is_resolved


def test_whoever_may_still_read_the_study_second_neither_sees_nor_settles_it(item, second_radiologist):
    assert not discrepancies_shown_to(second_radiologist).exists()
    assert CaseState.DISCREPANCY not in case_states(second_radiologist, [item.review.study_id]).get(
        item.review.study_id, ()
    )
    with pytest.raises(NotPossible, match="hidden from you"):
        discrepancy_resolve(actor=second_radiologist, discrepancy=item, decision="repeat_pcr")


def test_the_worklist_learns_of_it(item, radiologist, doctor, outsider):
    key = item.review.study_id
    assert case_states(doctor, [key])[key] == (CaseState.DISCREPANCY, CaseState.SECOND_READ)
    assert case_states(outsider, [key]) == {}


def test_a_doctor_sees_it_and_does_not_settle_it(item, doctor):
    assert discrepancies_shown_to(doctor).get() == item
    with pytest.raises(PermissionDenied):
        discrepancy_resolve(actor=doctor, discrepancy=item, decision="repeat_pcr")


# The day of the illness


def test_the_day_counts_by_the_hospitals_calendar(site, patient):
    # 23:30 in UTC is the next day in Madrid.
    study = StudyFactory(patient=patient, performed_at=dt.datetime(2026, 7, 9, 23, 30, tzinfo=dt.UTC))
    SymptomNoteFactory(patient=patient, onset_date=dt.date(2026, 7, 1))
    assert day_of_illness(study) == 9


def test_the_latest_note_that_names_a_day_of_this_illness_counts(patient):
    study = StudyFactory(patient=patient, performed_at=dt.datetime(2026, 7, 10, 12, tzinfo=dt.UTC))
    noted = dt.datetime(2026, 7, 10, 9, tzinfo=dt.UTC)
    for onset, hours in ((dt.date(2026, 7, 5), 0), (dt.date(2026, 7, 3), 1), (dt.date(2026, 1, 1), 2)):
        SymptomNoteFactory(patient=patient, onset_date=onset, noted_at=noted + dt.timedelta(hours=hours))
    SymptomNoteFactory(patient=patient, onset_date=None, noted_at=noted + dt.timedelta(hours=3))
    assert day_of_illness(study) == 7


def test_nobody_knows_the_day_of_an_image_without_a_time_or_before_the_symptoms(patient):
    SymptomNoteFactory(patient=patient, onset_date=dt.date(2026, 7, 5))
    assert day_of_illness(StudyFactory(patient=patient, performed_at=None)) is None
    earlier = StudyFactory(patient=patient, performed_at=dt.datetime(2026, 7, 1, tzinfo=dt.UTC))
    assert day_of_illness(earlier) is None


def test_the_reader_of_another_hospital_learns_nothing(item, outsider):
    assert not discrepancies_shown_to(outsider).exists()
    assert not discrepancies_shown_to(UserFactory()).exists()
