"""How a case is classed: agreed, AI helped, AI misled, reader held firm, both wrong."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest

from diagnosis.selectors.outcomes import AGAINST_PCR, WITHOUT_PCR, Outcome, outcome, outcome_of
from diagnosis.selectors.reading import image_set_of
from diagnosis.selectors.studies import second_opinion, studies_with_opinion
from diagnosis.services.first_reads import first_read_lock
from diagnosis.services.reviews import review_sign
from tests.factories import ImageFactory, LabResultFactory, PatientFactory, PredictionFactory, StudyFactory

READ = ("covid19", "viral_pneumonia", "normal", "other_finding", "non_diagnostic")
SAID = ("covid19", "viral_pneumonia", "normal", "")
PCR = ("detected", "not_detected", "indeterminate", "")
PRODUCT = list(itertools.product(READ, READ, SAID, PCR))

FIVE = {Outcome.AGREED, Outcome.AI_HELPED, Outcome.AI_MISLED, Outcome.HELD_FIRM, Outcome.BOTH_WRONG}


def right(label: str, pcr: str) -> bool | None:
    """Written out for each label, as a reader would say it."""
    table = {
        "detected": {"covid19": True, "viral_pneumonia": False, "normal": False, "other_finding": False},
        "not_detected": {"covid19": False, "viral_pneumonia": True, "normal": True, "other_finding": True},
    }
    return table.get(pcr, {}).get(label)


@pytest.mark.parametrize(
    ("first", "ai", "final", "pcr", "expected"),
    [
        ("covid19", "covid19", "covid19", "", "agreed"),
        ("covid19", "covid19", "covid19", "detected", "agreed"),
        ("covid19", "covid19", "covid19", "not_detected", "both_wrong"),
        ("normal", "covid19", "covid19", "detected", "ai_helped"),
        ("normal", "covid19", "covid19", "not_detected", "ai_misled"),
        ("normal", "covid19", "covid19", "", "ai_followed"),
        ("normal", "covid19", "covid19", "indeterminate", "ai_followed"),
        ("normal", "covid19", "normal", "not_detected", "held_firm"),
        ("normal", "covid19", "normal", "", "held_firm"),
        ("normal", "covid19", "normal", "detected", "ai_not_followed"),
        ("covid19", "normal", "normal", "detected", "ai_misled"),
        ("normal", "viral_pneumonia", "normal", "detected", "both_wrong"),
        ("normal", "viral_pneumonia", "viral_pneumonia", "not_detected", "ai_followed"),
        ("normal", "normal", "covid19", "detected", "own_change"),
        ("normal", "", "normal", "detected", "not_classed"),
        ("non_diagnostic", "covid19", "covid19", "detected", "ai_followed"),
    ],
)
def test_a_case_is_classed_as_people_would_say(first, ai, final, pcr, expected):
    assert outcome(first=first, final=final, ai=ai, pcr=pcr) == expected


def test_the_whole_product_of_first_final_ai_and_pcr_follows_the_definitions():
    assert len(PRODUCT) == 400
    for first, final, ai, pcr in PRODUCT:
        got = outcome(first=first, final=final, ai=ai, pcr=pcr)
        case = (first, final, ai, pcr)
        rights = [right(label, pcr) for label in (first, ai, final)]
        assert (got == Outcome.NOT_CLASSED) == (not ai), case
        if not ai:
            continue
        is_decided = None not in rights
        assert (got == Outcome.AI_HELPED) == (is_decided and rights == [False, True, True]), case
        assert (got == Outcome.AI_MISLED) == (is_decided and rights == [True, False, False]), case
        assert (got == Outcome.BOTH_WRONG) == (is_decided and rights == [False, False, False]), case
        assert (got == Outcome.AI_NOT_FOLLOWED) == (is_decided and rights == [False, True, False]), case
        undecided = not is_decided or rights == [True, True, True]
        assert (got == Outcome.AGREED) == (undecided and first == ai == final), case
        assert (got == Outcome.AI_FOLLOWED) == (undecided and first != ai == final), case
        held = (undecided and first == final != ai) or (is_decided and rights == [True, False, True])
        assert (got == Outcome.HELD_FIRM) == held, case


def test_the_tables_know_every_case_that_can_be():
    assert set(AGAINST_PCR) == set(itertools.product([True, False], repeat=3))
    possible = {(f == a, f == g, g == a) for f, g, a in itertools.product("xyz", repeat=3)}
    assert set(WITHOUT_PCR) == possible
    reached = {outcome(first=f, final=g, ai=a, pcr=p) for f, g, a, p in PRODUCT}
    assert reached == set(Outcome)
    assert reached > FIVE


@pytest.fixture
def signed(site, radiologist):
    """The network said COVID-19; the reader had locked normal, and kept it."""
    site.reading_protocol = "read-first"
    site.save()
    study = StudyFactory(patient=PatientFactory(site=site), status="to_read")
    PredictionFactory(image=ImageFactory(study=study), done=True)
    first_read_lock(
        actor=radiologist,
        study=study,
        label="normal",
        confidence="likely",
        image_set=image_set_of(study.images.all()),
    )
    shown = studies_with_opinion(type(study).objects.filter(pk=study.pk), viewer=radiologist).get()
    return review_sign(
        actor=radiologist,
        study=study,
        decision="override",
        label="normal",
        reason="chronic",
        opinion_token=second_opinion(shown).token,
    )


def test_a_pcr_that_comes_later_says_what_became_of_a_signed_case(signed):
    study = signed.study
    assert outcome_of(study, signed) == "held_firm"
    LabResultFactory(patient=study.patient, result="indeterminate", collected_at=study.time)
    assert outcome_of(study, signed) == "held_firm"
    LabResultFactory(
        patient=study.patient, result="detected", collected_at=study.time - dt.timedelta(hours=2)
    )
    assert outcome_of(study, signed) == "ai_not_followed"


def test_a_pcr_of_another_illness_says_nothing(signed):
    study = signed.study
    LabResultFactory(
        patient=study.patient, result="detected", collected_at=study.time - dt.timedelta(days=200)
    )
    assert outcome_of(study, signed) == "held_firm"


def test_a_read_without_a_first_read_is_not_classed(signed):
    signed.first_read = None
    assert outcome_of(signed.study, signed) == "not_classed"
