"""A second reader reads blind; where the two disagree a third decides. Who reads what is ranked and capped."""

import datetime as dt

import pytest
from allauth.core import context
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, IntegrityError, transaction
from django.test import RequestFactory
from django.utils import timezone

from diagnosis import policies
from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import (
    AuditEvent,
    CaseRules,
    FirstRead,
    Prediction,
    ReportDraft,
    SecondRead,
    SecondReadOpinion,
    Site,
    Study,
)
from diagnosis.selectors.case_counts import case_counts_of
from diagnosis.selectors.cases import CaseState, case_states, hides_read, studies_with_case_state
from diagnosis.selectors.reading import image_set_of
from diagnosis.selectors.second_reads import outcome_of, second_read_queue
from diagnosis.selectors.studies import current_review, second_opinion, studies_with_opinion
from diagnosis.services.accounts import membership_set, system_user
from diagnosis.services.critical_results import critical_flag
from diagnosis.services.first_reads import first_read_lock
from diagnosis.services.report_drafts import report_draft_save
from diagnosis.services.reviews import review_sign
from diagnosis.services.second_read_queue import draw_of, is_drawn, queue_arrange, second_reads_tidy
from diagnosis.services.second_reads import (
    second_read_adjudicate,
    second_read_cancel,
    second_read_request,
    second_read_return,
    second_read_sign,
    second_read_take,
    second_read_waive,
)
from diagnosis.services.studies import study_open
from tests.factories import (
    PASSWORD,
    ImageFactory,
    LabResultFactory,
    PatientFactory,
    PredictionFactory,
    StudyFactory,
    UserFactory,
)


def make_study(site, label="covid19", **values) -> Study:
    study = StudyFactory(patient=PatientFactory(site=site), status="to_read", **values)
    scores = {"covid19": 0.07, "viral_pneumonia": 0.12, "normal": 0.07} | {label: 0.81}
    PredictionFactory(image=ImageFactory(study=study), done=True, label=label, probabilities=scores)
    return study


@pytest.fixture
def study(site):
    return make_study(site)


@pytest.fixture
def third(site):
    user = UserFactory(username="third", first_name="Theo", last_name="Third")
    membership_set(actor=system_user(), user=user, site=site, role="radiologist")
    return user


def seen(study, viewer):
    return studies_with_opinion(Study.objects.filter(pk=study.pk), viewer=viewer).get()


def sign(reader, study, label="covid19", **values):
    """Confirm the second opinion, or override it with ``label``."""
    opinion = second_opinion(seen(study, reader))
    if label == opinion.label:
        return review_sign(
            actor=reader, study=study, decision="confirm", opinion_token=opinion.token, **values
        )
    return review_sign(
        actor=reader, study=study, decision="override", label=label, reason="artefact",
        opinion_token=opinion.token, **values,
    )  # fmt: skip


def take(reader, study) -> SecondRead:
    return second_read_take(actor=reader, second_read=SecondRead.objects.get(study=study))


def give(reader, study, label, **values) -> SecondReadOpinion:
    return second_read_sign(
        actor=reader,
        second_read=SecondRead.objects.get(study=study),
        label=label,
        confidence="likely",
        image_set=image_set_of(study.images.all()),
        **values,
    )


def causes(study) -> list[tuple[str, str]]:
    return [(cause.kind, cause.rule) for cause in SecondRead.objects.get(study=study).causes.all()]


# What asks for a second reader


def test_a_confirmed_opinion_without_any_contradiction_asks_for_nobody(radiologist, study):
    sign(radiologist, study)
    assert not SecondRead.objects.exists()


def test_a_reader_who_overrides_the_network_is_read_second(radiologist, study):
    sign(radiologist, study, "normal")
    assert causes(study) == [("reader_ai", "reader_ai_differ")]
    assert SecondRead.objects.get().state == "waiting"


@pytest.mark.parametrize(
    ("pcr", "label", "expected"),
    [
        ("detected", "covid19", []),
        ("not_detected", "normal", [("reader_ai", "reader_ai_differ"), ("ai_pcr", "pcr_negative_ai_covid")]),
        ("not_detected", "covid19", [
            ("reader_pcr", "pcr_negative_reader_covid"), ("ai_pcr", "pcr_negative_ai_covid"),
        ]),
        ("detected", "viral_pneumonia", [
            ("reader_pcr", "pcr_positive_reader_other"), ("reader_ai", "reader_ai_differ"),
        ]),
        ("indeterminate", "covid19", []),
    ],
)  # fmt: skip
def test_a_pcr_that_is_there_counts_when_a_read_is_signed(radiologist, study, pcr, label, expected):
    LabResultFactory(patient=study.patient, result=pcr)
    sign(radiologist, study, label)
    assert (causes(study) if expected else list(SecondRead.objects.all())) == expected


def test_an_opinion_that_comes_after_the_signature_is_compared_too(radiologist, site):
    from diagnosis.services.second_reads import late_opinion_check

    study = make_study(site)
    Prediction.objects.update(status="queued")
    review_sign(
        actor=radiologist, study=study, decision="unaided", label="normal",
        opinion_token=second_opinion(seen(study, radiologist)).token,
    )  # fmt: skip
    assert not SecondRead.objects.exists()
    Prediction.objects.update(status="done")
    late_opinion_check(actor=system_user(), study=study)
    assert causes(study) == [("reader_ai", "reader_ai_differ")]


def test_a_doctor_asks_for_a_second_reader_and_several_causes_make_one_second_read(
    radiologist, doctor, study
):
    sign(radiologist, study)
    second_read_request(actor=doctor, study=study, note="Left base?")
    second_read_request(actor=radiologist, study=study)
    assert causes(study) == [("requested", "")]
    assert SecondRead.objects.get().causes.get().note == "Left base?"


def test_nothing_can_be_read_second_before_it_was_read(doctor, study):
    with pytest.raises(NotPossible, match="has not been read yet"):
        second_read_request(actor=doctor, study=study)


def test_the_draw_is_the_same_each_time_depends_on_the_secret_key_and_takes_its_share(settings, site):
    studies = [StudyFactory.build(patient__site=site).pk for _ in range(2000)]
    first = [draw_of(key) for key in studies]
    assert [draw_of(key) for key in studies] == first
    assert all(0 <= draw < 1 for draw in first)
    # 2,000 draws of 10 %: 200 are expected, and fewer than 140 or more than 260 in 1 of 100,000 runs.
    assert 140 < sum(is_drawn(key, 10) for key in studies) < 260
    assert not any(is_drawn(key, 0) for key in studies)
    assert all(is_drawn(key, 100) for key in studies)
    settings.AUDIT_HMAC_KEY = "another key"
    assert [draw_of(key) for key in studies] != first


def test_a_drawn_study_is_read_second_and_each_draw_is_on_record(radiologist, study, site):
    CaseRules.objects.create(site=site, second_read_share_percent=100)
    sign(radiologist, study)
    assert causes(study) == [("sampled", "")]
    details = AuditEvent.objects.get(action="second_read_drawn").details
    assert details == {
        "study": str(study.pk), "share_percent": 100, "draw": draw_of(study.pk), "drawn": True,
    }  # fmt: skip


# Blind, and by another person


@pytest.fixture
def overridden(radiologist, study):
    """The network says COVID-19, the first reader signed Normal: a second reader is wanted."""
    sign(radiologist, study, "normal")
    return study


def test_whoever_may_still_read_second_is_shown_neither_the_read_nor_why_it_is_checked(
    overridden, radiologist, second_radiologist, doctor
):
    assert current_review(seen(overridden, second_radiologist)) is None
    assert hides_read(second_radiologist, overridden)
    for other in (radiologist, doctor):
        assert current_review(seen(overridden, other)).label == "normal"
    assert [row.study for row in second_read_queue(second_radiologist).to_read] == [overridden]
    assert second_read_queue(radiologist).to_read == []


def test_the_top_of_every_page_counts_what_one_could_take_in_one_query(
    overridden, radiologist, second_radiologist, outsider, django_assert_num_queries
):
    with django_assert_num_queries(1):
        assert case_counts_of(second_radiologist) == {"second_reads": 1, "critical": 0}
    assert case_counts_of(radiologist) == {"second_reads": 0, "critical": 0}
    critical_flag(actor=radiologist, study=overridden, finding="pneumothorax")
    assert case_counts_of(radiologist)["critical"] == 1
    assert case_counts_of(outsider) == {"second_reads": 0, "critical": 0}


def test_at_a_site_that_reads_first_the_network_is_hidden_until_the_second_read_is_signed(
    overridden, site, second_radiologist
):
    assert policies.may_see_ai(second_radiologist, overridden)  # Of a concurrent site.
    site.reading_protocol = "read-first"
    site.save()
    overridden = Study.objects.get(pk=overridden.pk)
    assert not policies.may_see_ai(second_radiologist, overridden)
    take(second_radiologist, overridden)
    assert not policies.may_see_ai(second_radiologist, overridden)
    give(second_radiologist, overridden, "normal")
    assert policies.may_see_ai(second_radiologist, overridden)
    assert not hides_read(second_radiologist, overridden)


def test_two_readers_who_agree_close_the_case(overridden, second_radiologist):
    take(second_radiologist, overridden)
    opinion = give(second_radiologist, overridden, "normal", note="  Clear. ")
    second_read = SecondRead.objects.get()
    assert (second_read.state, second_read.holder) == ("agreed", None)
    assert (opinion.note, opinion.first_read) == ("Clear.", FirstRead.objects.get(reader=second_radiologist))
    assert outcome_of(overridden) == opinion
    assert current_review(seen(overridden, second_radiologist)).label == "normal"


def test_two_who_disagree_are_adjudicated_by_a_third_and_the_signed_read_stays_as_it_was(
    overridden, radiologist, second_radiologist, third
):
    take(second_radiologist, overridden)
    give(second_radiologist, overridden, "viral_pneumonia")
    second_read = SecondRead.objects.get()
    assert second_read.state == "to_adjudicate"
    for reader in (radiologist, second_radiologist):
        with pytest.raises(NotPossible, match="A third person"):
            second_read_take(actor=reader, second_read=second_read)
    second_read_take(actor=third, second_read=second_read)
    with pytest.raises(ValidationError) as error:
        second_read_adjudicate(actor=third, second_read=second_read, label="normal", confidence="likely")
    assert "note" in error.value.message_dict
    decided = second_read_adjudicate(
        actor=third, second_read=second_read, label="viral_pneumonia", confidence="likely", note="Left base."
    )
    assert outcome_of(overridden) == decided
    assert current_review(seen(overridden, third)).label == "normal"
    assert Study.objects.get(pk=overridden.pk).is_read


def test_the_adjudicator_does_not_see_the_network_before_deciding_at_a_site_that_reads_first(
    overridden, site, second_radiologist, third
):
    take(second_radiologist, overridden)
    give(second_radiologist, overridden, "viral_pneumonia")
    site.reading_protocol = "read-first"
    site.save()
    take(third, overridden)
    assert not policies.may_see_ai(third, Study.objects.get(pk=overridden.pk))
    assert policies.may_see_ai(second_radiologist, Study.objects.get(pk=overridden.pk))


def test_the_first_reader_cannot_be_the_second(overridden, radiologist):
    with pytest.raises(NotPossible, match="another person"):
        take(radiologist, overridden)


def test_who_asked_to_see_the_read_sees_it_and_reads_second_no_more(overridden, second_radiologist, third):
    second_read_waive(actor=second_radiologist, study=overridden)
    assert current_review(seen(overridden, second_radiologist)).label == "normal"
    with pytest.raises(NotPossible, match="seen its read"):
        take(second_radiologist, overridden)
    take(third, overridden)
    with pytest.raises(Conflict, match="not hidden"):
        second_read_waive(actor=second_radiologist, study=overridden)


def test_who_opened_the_study_since_it_was_signed_is_not_asked_to_read_it_blind(
    study, radiologist, second_radiologist, third, doctor
):
    sign(radiologist, study)
    study_open(actor=second_radiologist, study=study)
    second_read_request(actor=doctor, study=study)
    assert second_read_queue(second_radiologist).to_read == []
    assert current_review(seen(study, second_radiologist)).label == "covid19"
    with pytest.raises(NotPossible, match="seen its read"):
        take(second_radiologist, study)
    assert [row.study for row in second_read_queue(third).to_read] == [study]


def test_one_person_at_a_time_and_after_an_hour_it_goes_back(
    overridden, second_radiologist, third, monkeypatch
):
    take(second_radiologist, overridden)
    with pytest.raises(Conflict, match="Sara Second is reading it now"):
        take(third, overridden)
    later = timezone.now() + dt.timedelta(minutes=61)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert second_reads_tidy(actor=system_user()) == 1
    assert second_reads_tidy(actor=system_user()) == 0
    with pytest.raises(Conflict, match="not in your hands any more"):
        give(second_radiologist, overridden, "normal")
    take(third, overridden)
    assert not FirstRead.objects.exists()


def test_what_is_given_back_can_be_taken_by_somebody_else(overridden, second_radiologist, third):
    second_read_return(actor=second_radiologist, second_read=take(second_radiologist, overridden))
    assert take(third, overridden).holder == third


def test_a_read_that_was_locked_before_somebody_else_signed_counts_as_it_is(
    site, radiologist, second_radiologist
):
    site.reading_protocol = "read-first"
    site.save()
    study = make_study(site)
    for reader, label in ((radiologist, "normal"), (second_radiologist, "covid19")):
        first_read_lock(
            actor=reader, study=study, label=label, confidence="likely",
            image_set=image_set_of(study.images.all()),
        )  # fmt: skip
    sign(radiologist, study, "normal")
    take(second_radiologist, study)
    with pytest.raises(ValidationError, match="You locked “COVID-19”"):
        give(second_radiologist, study, "normal")
    give(second_radiologist, study, "covid19")
    assert SecondRead.objects.get().state == "to_adjudicate"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"label": "unicorn"}, "label"),
        ({"confidence": "certainly"}, "confidence"),
        ({"label": "other_finding"}, "note"),
    ],
)
def test_a_second_read_that_is_not_right_is_not_signed(overridden, second_radiologist, values, field):
    second_read = take(second_radiologist, overridden)
    sent = {"label": "normal", "confidence": "likely", **values}
    with pytest.raises(ValidationError) as error:
        second_read_sign(
            actor=second_radiologist, second_read=second_read,
            image_set=image_set_of(overridden.images.all()), **sent,
        )  # fmt: skip
    assert field in error.value.message_dict
    assert not SecondReadOpinion.objects.exists()
    assert not FirstRead.objects.exists()


def test_images_that_came_while_reading_second_make_the_case_one_to_be_read_anew(
    overridden, radiologist, second_radiologist
):
    take(second_radiologist, overridden)
    ImageFactory(study=overridden)
    Study.objects.filter(pk=overridden.pk).update(status="to_read")
    with pytest.raises(Conflict, match="Images were added"):
        second_read_sign(
            actor=second_radiologist, second_read=SecondRead.objects.get(), label="normal",
            confidence="likely", image_set="0" * 64,
        )  # fmt: skip
    assert current_review(seen(overridden, second_radiologist)) is not None
    sign(radiologist, overridden)
    assert [(row.state, row.cancel_reason) for row in SecondRead.objects.filter(state="cancelled")] == [
        ("cancelled", "The study was read anew.")
    ]


def test_a_doctor_takes_no_second_read_and_an_administrator_asks_for_none(overridden, doctor, admin):
    with pytest.raises(PermissionDenied):
        take(doctor, overridden)
    with pytest.raises(PermissionDenied):
        second_read_request(actor=admin, study=overridden)


def test_only_a_wish_of_ones_own_is_withdrawn(radiologist, doctor, site):
    wished, required = make_study(site), make_study(site)
    sign(radiologist, wished)
    sign(radiologist, required, "normal")
    second_read_request(actor=doctor, study=wished)
    second_read_request(actor=doctor, study=required)
    with pytest.raises(NotPossible, match="required by a rule"):
        second_read_cancel(actor=doctor, second_read=SecondRead.objects.get(study=required), reason="No.")
    row = SecondRead.objects.get(study=wished)
    with pytest.raises(NotPossible, match="Somebody else"):
        second_read_cancel(actor=radiologist, second_read=row, reason="No.")
    second_read_cancel(actor=doctor, second_read=row, reason="Patient went home.")
    assert SecondRead.objects.get(study=wished).state == "cancelled"
    assert second_read_request(actor=doctor, study=wished).pk != row.pk


# Ranked and capped


def states(*studies: Study) -> list[str]:
    by_study = dict(SecondRead.objects.values_list("study", "state"))
    return [by_study[study.pk] for study in studies]


def test_beyond_the_cap_the_most_urgent_are_offered_and_the_others_say_that_they_wait(
    radiologist, doctor, site
):
    CaseRules.objects.create(site=site, second_read_most_open=2)
    wish, conflict, stat, late = (
        make_study(site), make_study(site), make_study(site, priority="stat"), make_study(site),
    )  # fmt: skip
    sign(radiologist, wish)
    second_read_request(actor=doctor, study=wish)
    sign(radiologist, conflict, "normal")
    assert states(wish, conflict) == ["waiting", "waiting"]
    sign(radiologist, stat)
    second_read_request(actor=doctor, study=stat)
    assert states(stat, conflict, wish) == ["waiting", "waiting", "held"]
    sign(radiologist, late, "normal")
    assert states(stat, conflict, wish, late) == ["waiting", "waiting", "held", "held"]
    assert queue_arrange(site=site) == 0


def test_a_held_one_cannot_be_taken_and_comes_up_when_a_place_is_free(radiologist, second_radiologist, site):
    CaseRules.objects.create(site=site, second_read_most_open=1)
    first, second = make_study(site), make_study(site)
    sign(radiologist, first, "normal")
    sign(radiologist, second, "normal")
    with pytest.raises(NotPossible, match="queue of second reads is full"):
        take(second_radiologist, second)
    take(second_radiologist, first)
    assert states(first, second) == ["taken", "held"]
    give(second_radiologist, first, "normal")
    assert states(first, second) == ["agreed", "waiting"]


def test_the_cap_of_a_day_holds_the_rest_until_tomorrow(radiologist, second_radiologist, site, monkeypatch):
    CaseRules.objects.create(site=site, second_read_most_a_day=1)
    first, second = make_study(site), make_study(site)
    sign(radiologist, first, "normal")
    take(second_radiologist, first)
    give(second_radiologist, first, "normal")
    sign(radiologist, second, "normal")
    assert states(second) == ["held"]
    tomorrow = timezone.now() + dt.timedelta(days=1)
    monkeypatch.setattr(timezone, "now", lambda: tomorrow)
    assert second_reads_tidy(actor=system_user()) == 1
    assert states(second) == ["waiting"]


def test_those_who_cannot_read_second_see_the_queue_by_priority_kind_and_age(
    radiologist, admin, doctor, site
):
    wish, pcr, ai = make_study(site), make_study(site), make_study(site)
    sign(radiologist, wish)
    second_read_request(actor=doctor, study=wish)
    sign(radiologist, ai, "normal")
    LabResultFactory(patient=pcr.patient, result="not_detected")
    sign(radiologist, pcr)
    assert [row.study for row in second_read_queue(admin).others] == [pcr, ai, wish]


def test_a_possible_second_reader_sees_it_by_age_so_that_the_order_tells_nothing(
    radiologist, second_radiologist, doctor, site
):
    wish, ai = make_study(site), make_study(site)
    sign(radiologist, wish)
    second_read_request(actor=doctor, study=wish)
    sign(radiologist, ai, "normal")
    assert [row.study for row in second_read_queue(second_radiologist).to_read] == [wish, ai]


def test_the_worklist_learns_what_is_open(overridden, second_radiologist, third, radiologist, outsider):
    everything = Study.objects.all()
    assert case_states(radiologist, [overridden.pk]) == {overridden.pk: (CaseState.SECOND_READ,)}
    assert list(studies_with_case_state(everything, CaseState.SECOND_READ, radiologist)) == [overridden]
    assert not studies_with_case_state(everything, CaseState.SECOND_READ, outsider)
    take(second_radiologist, overridden)
    give(second_radiologist, overridden, "covid19")
    assert case_states(third, [overridden.pk]) == {overridden.pk: (CaseState.ADJUDICATION,)}


# The record


def test_the_database_keeps_one_second_read_for_a_read_and_never_changes_an_opinion(
    overridden, second_radiologist
):
    row = SecondRead.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        SecondRead.objects.create(study=overridden, review=row.review, cause_rank=0)
    take(second_radiologist, overridden)
    give(second_radiologist, overridden, "normal")
    for rows in (SecondReadOpinion.objects, row.causes):
        with pytest.raises(DatabaseError), transaction.atomic():
            rows.update(note="x")


def test_every_act_is_on_record(overridden, second_radiologist, third):
    take(second_radiologist, overridden)
    give(second_radiologist, overridden, "covid19")
    take(third, overridden)
    second_read_adjudicate(
        actor=third, second_read=SecondRead.objects.get(), label="covid19", confidence="likely", note="Yes."
    )
    row = SecondRead.objects.get()
    actions = (
        AuditEvent.objects.filter(object_id=str(row.pk)).order_by("seq").values_list("action", flat=True)
    )
    assert list(actions) == [
        "second_read_opened", "second_read_arranged", "second_read_taken", "second_read_signed",
        "second_read_taken", "second_read_adjudicated",
    ]  # fmt: skip


# The second read is signed as the first one is


@pytest.fixture
def in_hands(study, radiologist, second_radiologist):
    """A second read that the second radiologist has taken."""
    sign(radiologist, study)
    second_read_request(actor=radiologist, study=study)
    return take(second_radiologist, study)


def test_a_second_read_is_signed_with_its_report_and_its_draft_ends(second_radiologist, in_hands):
    draft = report_draft_save(
        author=second_radiologist, study=in_hands.study, version=0, label="covid19", findings="Left."
    )
    texts = {"findings": "Left base. ", "impression": "COVID-19.", "comparison": "None."}
    with pytest.raises(Conflict, match="changed in another window"):
        give(second_radiologist, in_hands.study, "covid19", draft_version=7, **texts)
    assert not SecondReadOpinion.objects.exists()
    given = give(second_radiologist, in_hands.study, "covid19", draft_version=draft.version, **texts)
    assert (given.findings, given.impression, given.comparison) == ("Left base.", "COVID-19.", "None.")
    assert not ReportDraft.objects.exists()


def test_a_blank_that_nobody_filled_in_and_a_text_that_is_too_long_stop_a_second_read(
    second_radiologist, in_hands
):
    with pytest.raises(ValidationError, match="blank"):
        give(second_radiologist, in_hands.study, "covid19", findings="In the ___ lung.")
    with pytest.raises(ValidationError, match="at most 10000 characters"):
        give(second_radiologist, in_hands.study, "covid19", impression="x" * 10_001)
    assert not FirstRead.objects.exists()


def test_where_the_site_asks_the_password_signs_second_reads_and_adjudications_too(
    site, second_radiologist, third, in_hands
):
    Site.objects.update(signing_asks_password=True)
    with context.request_context(RequestFactory().post("/")):
        for typed in ("", "wrong"):
            with pytest.raises(ValidationError) as error:
                give(second_radiologist, in_hands.study, "normal", signing_password=typed)
            assert list(error.value.message_dict) == ["signing_password"]
        assert not SecondReadOpinion.objects.exists()
        assert AuditEvent.objects.filter(action="signature_refused").count() == 1
        give(second_radiologist, in_hands.study, "normal", signing_password=PASSWORD)
        row = take(third, in_hands.study)
        decide = {"label": "covid19", "confidence": "likely", "note": "I agree with the first."}
        with pytest.raises(ValidationError, match="Enter your password"):
            second_read_adjudicate(actor=third, second_read=row, **decide)
        second_read_adjudicate(actor=third, second_read=row, signing_password=PASSWORD, **decide)
    assert SecondRead.objects.get().state == "adjudicated"


def test_who_locks_keeps_the_words_and_not_the_choice_in_the_draft(site, radiologist):
    Site.objects.update(reading_protocol="read-first")
    study = make_study(Site.objects.get(pk=site.pk))
    report_draft_save(
        author=radiologist, study=study, version=0, label="normal", confidence="likely", findings="Clear."
    )
    first_read_lock(
        actor=radiologist, study=study, label="covid19", confidence="may_be",
        image_set=image_set_of(study.images.all()),
    )  # fmt: skip
    kept = ReportDraft.objects.get()
    assert (kept.label, kept.confidence, kept.findings, kept.version) == ("", "", "Clear.", 1)
