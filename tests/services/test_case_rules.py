"""Which of reader, AI and PCR contradict each other, and in which words."""

import itertools

import pytest

from diagnosis.errors import Conflict
from diagnosis.models import CaseRules, CriticalState, DiscrepancyState, PcrResult, SecondReadState
from diagnosis.services.case_rules import RULES, Facts, conflicts, late_pcr_rule, rule_named
from diagnosis.services.case_transitions import (
    CRITICAL_TRANSITIONS,
    DISCREPANCY_TRANSITIONS,
    SECOND_READ_TRANSITIONS,
    CriticalEvent,
    DiscrepancyEvent,
    SecondReadEvent,
    critical_next,
    discrepancy_next,
    second_read_next,
)

NAMES = {"covid19": "COVID-19", "viral_pneumonia": "Viral Pneumonia", "normal": "Normal",
         "other_finding": "Other finding (see note)", "non_diagnostic": "Image not diagnostic"}  # fmt: skip


def facts(reader="covid19", ai=("covid19",), score=0.81, pcr="", day=None) -> Facts:
    words = " or ".join(NAMES[code] for code in ai)
    return Facts(
        reader=reader,
        reader_name=NAMES[reader],
        ai=tuple(ai),
        ai_words=f"{words} {score:.2f}" if len(ai) == 1 else f"unsure, {words}",
        ai_covid=score if "covid19" in ai else 0.05,
        pcr=pcr,
        day=day,
    )


def held(facts: Facts, **rules: object) -> set[str]:
    return {rule.code for rule in conflicts(facts, CaseRules(**rules))}


def test_the_rule_is_said_in_words():
    words = rule_named("pcr_negative_ai_covid").words(facts(pcr="not_detected", day=9))
    assert words == "PCR negative, AI COVID-19 0.81, day 9: second reader"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (facts(), set()),
        (facts(pcr="detected"), set()),
        (facts(reader="normal", ai=("normal",), pcr="not_detected"), set()),
        (facts(reader="normal"), {"reader_ai_differ"}),
        (facts(reader="other_finding"), {"reader_ai_differ"}),
        (facts(reader="non_diagnostic"), set()),
        (facts(reader="normal", ai=("covid19", "normal")), set()),
        (facts(reader="viral_pneumonia", ai=("covid19", "normal")), {"reader_ai_differ"}),
        (facts(reader="normal", ai=()), set()),
        (facts(pcr="not_detected"), {"pcr_negative_reader_covid", "pcr_negative_ai_covid"}),
        (facts(pcr="not_detected", score=0.49), {"pcr_negative_reader_covid"}),
        (facts(pcr="not_detected", score=0.5), {"pcr_negative_reader_covid", "pcr_negative_ai_covid"}),
        (facts(reader="normal", ai=("covid19", "normal"), pcr="not_detected"), set()),
        (facts(reader="normal", ai=("normal",), pcr="detected"), {"pcr_positive_reader_normal", "pcr_positive_ai_other"}),
        (facts(reader="normal", ai=("normal",), pcr="detected", day=4), set()),
        (facts(reader="normal", ai=("normal",), pcr="detected", day=5), {"pcr_positive_reader_normal", "pcr_positive_ai_other"}),
        (
            facts(reader="viral_pneumonia", ai=("viral_pneumonia",), pcr="detected", day=1),
            {"pcr_positive_reader_other", "pcr_positive_ai_other"},
        ),
        (facts(pcr="indeterminate", reader="normal", ai=("normal",)), set()),
    ],
)  # fmt: skip
def test_what_contradicts_what(given, expected):
    assert held(given) == expected


def test_a_site_moves_the_thresholds():
    early = facts(reader="normal", ai=("normal",), pcr="detected", day=4)
    assert "pcr_positive_reader_normal" in held(early, xray_expected_from_day=4)
    weak = facts(pcr="not_detected", score=0.3)
    assert "pcr_negative_ai_covid" in held(weak, ai_covid_from=0.3)


@pytest.mark.parametrize(
    ("reader", "pcr", "day"), list(itertools.product(NAMES, PcrResult.values, [None, 1, 9]))
)
def test_of_any_read_and_any_late_pcr_exactly_one_verdict_is_given_and_it_tells_nothing_of_the_network(
    reader, pcr, day
):
    given = facts(reader=reader, pcr=pcr, day=day)
    rules = [r for r in RULES if r.kind == "reader_pcr" and r.holds(given, CaseRules())]
    assert rules == [late_pcr_rule(given, CaseRules())]
    assert "AI" not in rules[0].words(given)
    assert (rules[0].verdict == "contradicts") == rules[0].asks_second_reader


def test_facts_come_back_as_they_were_kept():
    given = facts(pcr="not_detected", day=9)
    assert Facts.from_json(given.as_json()) == given


def test_every_rule_has_a_source_and_a_code_of_its_own():
    assert all(rule.source for rule in RULES)
    assert len({rule.code for rule in RULES}) == len(RULES)


MACHINES = [
    (SecondReadState, SecondReadEvent, SECOND_READ_TRANSITIONS, second_read_next),
    (DiscrepancyState, DiscrepancyEvent, DISCREPANCY_TRANSITIONS, discrepancy_next),
    (CriticalState, CriticalEvent, CRITICAL_TRANSITIONS, critical_next),
]


@pytest.mark.parametrize(
    ("table", "move", "state", "event"),
    [
        (table, move, state, event)
        for states, events, table, move in MACHINES
        for state, event in itertools.product(states, events)
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_a_case_moves_by_its_table_and_every_other_pair_is_refused(table, move, state, event):
    if (state, event) in table:
        assert move(state, event) == table[state, event]
    else:
        with pytest.raises(Conflict, match="Reload the page"):
            move(state, event)
