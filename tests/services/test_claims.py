"""Two people do not read the same study: claims, their end, and what else one says about who reads and how soon."""

import datetime as dt

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import AuditEvent, Claim, Study
from diagnosis.selectors.studies import second_opinion
from diagnosis.services.claims import (
    claim_end,
    claim_release,
    claim_renew,
    claim_require_free,
    claim_take,
    priority_change,
    reader_assign,
)
from diagnosis.services.first_reads import first_read_lock
from diagnosis.services.reviews import review_sign
from tests.factories import ImageFactory, PatientFactory, PredictionFactory, StudyFactory


@pytest.fixture
def study(site):
    return StudyFactory(patient=PatientFactory(site=site), status="to_read")


def expire(study):
    past = timezone.now() - dt.timedelta(minutes=1)
    Claim.objects.filter(study=study).update(claimed_at=past - dt.timedelta(hours=1), expires_at=past)


def events(action):
    return list(AuditEvent.objects.filter(action=action).order_by("seq"))


def test_a_claim_lasts_as_long_as_the_hospital_says_and_is_on_record(radiologist, study, site):
    site.claim_minutes = 12
    study.site = site
    claim = claim_take(actor=radiologist, study=study)
    assert claim.is_running
    assert claim.expires_at - claim.claimed_at == dt.timedelta(minutes=12)
    [event] = events("study_claimed")
    assert (event.actor, event.patient, event.object_id) == (radiologist, study.patient, str(study.pk))


def test_a_second_radiologist_is_told_who_reads_and_until_when(radiologist, second_radiologist, study, site):
    claim = claim_take(actor=radiologist, study=study)
    until = f"{claim.expires_at.astimezone(site.tzinfo):%H:%M}"
    with pytest.raises(Conflict, match=f"Claimed by Rafael Reader until {until}. You can read along"):
        claim_take(actor=second_radiologist, study=study)
    with pytest.raises(
        Conflict, match=f"Claimed by Rafael Reader until {until}. Nothing of yours was stored"
    ):
        claim_require_free(actor=second_radiologist, study=study)
    assert Claim.objects.get().holder == radiologist


def test_nobody_is_held_back_without_a_claim_or_by_the_own_one_or_by_one_that_ran_out(
    radiologist, second_radiologist, study
):
    claim_require_free(actor=second_radiologist, study=study)
    claim_take(actor=radiologist, study=study)
    claim_require_free(actor=radiologist, study=study)
    expire(study)
    claim_require_free(actor=second_radiologist, study=study)


def sign(reader, study):
    token = second_opinion(study).token
    return review_sign(actor=reader, study=study, decision="confirm", opinion_token=token)


def test_only_the_holder_signs_while_a_claim_runs_and_signing_ends_it(radiologist, second_radiologist, study):
    PredictionFactory(image=ImageFactory(study=study), done=True)
    claim_take(actor=radiologist, study=study)
    with pytest.raises(Conflict, match="Claimed by Rafael Reader until"):
        sign(second_radiologist, study)
    assert not study.reviews.exists()
    sign(radiologist, study)
    assert not Claim.objects.exists()
    assert [event.action for event in AuditEvent.objects.order_by("seq")][-2:] == [
        "review_signed",
        "claim_released",
    ]


def test_a_first_read_is_not_locked_while_somebody_else_reads(radiologist, second_radiologist, study, site):
    site.reading_protocol = "read-first"
    site.save()
    PredictionFactory(image=ImageFactory(study=study), done=True)
    claim_take(actor=radiologist, study=study)
    with pytest.raises(Conflict, match="Claimed by Rafael Reader until"):
        first_read_lock(
            actor=second_radiologist, study=study, label="normal", confidence="likely", image_set=""
        )


def test_claiming_again_renews_and_is_not_told_twice(radiologist, study):
    first = claim_take(actor=radiologist, study=study)
    again = claim_take(actor=radiologist, study=study)
    assert again.pk == first.pk
    assert again.claimed_at > first.claimed_at
    assert again.expires_at > first.expires_at
    assert len(events("study_claimed")) == 1


def test_a_claim_that_ran_out_is_taken_over_with_a_reason(radiologist, second_radiologist, study):
    claim_take(actor=radiologist, study=study)
    expire(study)
    with pytest.raises(ValidationError, match="Rafael Reader had claimed this study"):
        claim_take(actor=second_radiologist, study=study)
    claim = claim_take(actor=second_radiologist, study=study, reason="expired")
    assert (claim.holder, claim.is_running) == (second_radiologist, True)
    [event] = events("claim_taken_over")
    assert event.details == {"from": "radiologist", "reason": "expired"}
    assert claim_renew(actor=radiologist, study=study) is None


def test_an_own_claim_that_ran_out_is_renewed_while_nobody_took_the_study_over(radiologist, study):
    claim_take(actor=radiologist, study=study)
    expire(study)
    assert claim_renew(actor=radiologist, study=study).is_running


def test_a_released_study_is_free_and_only_the_holder_releases(radiologist, second_radiologist, study):
    claim_take(actor=radiologist, study=study)
    assert not claim_release(actor=second_radiologist, study=study)
    assert claim_release(actor=radiologist, study=study)
    assert not claim_release(actor=radiologist, study=study)
    assert len(events("claim_released")) == 1
    assert claim_take(actor=second_radiologist, study=study).holder == second_radiologist


def test_a_page_that_is_left_releases_only_what_was_not_opened_again(radiologist, study):
    first = claim_take(actor=radiologist, study=study).opened
    second = claim_take(actor=radiologist, study=study).opened
    assert not claim_release(actor=radiologist, study=study, opened=first)
    assert not claim_release(actor=radiologist, study=study, opened="")
    claim_renew(actor=radiologist, study=study)
    assert claim_release(actor=radiologist, study=study, opened=second)


def test_an_administrator_ends_a_running_claim_with_a_reason(admin, radiologist, study):
    claim_take(actor=radiologist, study=study)
    with pytest.raises(ValidationError, match="Say why you end the claim"):
        claim_end(actor=admin, study=study, reason="because")
    claim_end(actor=admin, study=study, reason="holder_away")
    [event] = events("claim_released")
    assert (event.actor, event.details) == (admin, {"from": "radiologist", "reason": "holder_away"})
    with pytest.raises(Conflict, match="Nobody claims this study any more"):
        claim_end(actor=admin, study=study, reason="holder_away")


@pytest.mark.parametrize("person", ["doctor", "admin", "outsider"])
def test_only_who_may_sign_claims(request, person, study):
    with pytest.raises(PermissionDenied):
        claim_take(actor=request.getfixturevalue(person), study=study)
    assert not Claim.objects.exists()


@pytest.mark.parametrize("person", ["doctor", "second_radiologist", "outsider"])
def test_only_an_administrator_ends_the_claim_of_another(request, person, radiologist, study):
    claim_take(actor=radiologist, study=study)
    with pytest.raises(PermissionDenied):
        claim_end(actor=request.getfixturevalue(person), study=study, reason="agreed")
    assert Claim.objects.get().holder == radiologist


def test_readers_assign_themselves_and_leave_others_alone(radiologist, second_radiologist, admin, study):
    reader_assign(actor=radiologist, study=study, reader=radiologist)
    reader_assign(actor=radiologist, study=study, reader=radiologist)
    with pytest.raises(NotPossible, match="assigned to Rafael Reader"):
        reader_assign(actor=second_radiologist, study=study, reader=second_radiologist)
    with pytest.raises(NotPossible, match="Readers assign studies to themselves"):
        reader_assign(actor=radiologist, study=study, reader=second_radiologist)
    reader_assign(actor=admin, study=study, reader=second_radiologist)
    assert Study.objects.get().assigned_to == second_radiologist
    reader_assign(actor=second_radiologist, study=study, reader=None)
    assert Study.objects.get().assigned_to is None
    assert [event.details for event in events("reader_assigned")] == [
        {"from": "", "to": "radiologist"},
        {"from": "radiologist", "to": "second_radiologist"},
        {"from": "second_radiologist", "to": ""},
    ]


def test_nobody_is_assigned_who_may_not_sign_there(admin, doctor, outsider, study):
    for person in (doctor, outsider, admin):
        with pytest.raises(NotPossible, match="may not sign reads at Saint Example"):
            reader_assign(actor=admin, study=study, reader=person)
    with pytest.raises(PermissionDenied):
        reader_assign(actor=doctor, study=study, reader=doctor)


@pytest.mark.parametrize("person", ["doctor", "radiologist", "admin"])
def test_the_priority_is_changed_and_changed_back_both_on_record(request, person, study):
    actor = request.getfixturevalue(person)
    priority_change(actor=actor, study=study, priority="stat", seen="routine")
    assert Study.objects.values_list("priority", "priority_rank").get() == ("stat", 0)
    priority_change(actor=actor, study=study, priority="routine", seen="stat")
    assert Study.objects.values_list("priority", "priority_rank").get() == ("routine", 2)
    assert [event.details for event in events("priority_changed")] == [
        {"from": "routine", "to": "stat"},
        {"from": "stat", "to": "routine"},
    ]


def test_a_priority_that_somebody_changed_meanwhile_is_not_changed_again(
    doctor, radiologist, outsider, study
):
    priority_change(actor=doctor, study=study, priority="stat", seen="routine")
    with pytest.raises(Conflict, match="Somebody changed the priority meanwhile"):
        priority_change(actor=radiologist, study=study, priority="urgent", seen="routine")
    with pytest.raises(ValidationError, match="Choose routine, urgent or stat"):
        priority_change(actor=radiologist, study=study, priority="now", seen="stat")
    with pytest.raises(PermissionDenied):
        priority_change(actor=outsider, study=study, priority="routine", seen="stat")
    assert Study.objects.get().priority == "stat"
    assert len(events("priority_changed")) == 1
