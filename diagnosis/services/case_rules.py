"""Which findings of reader, AI and PCR contradict each other: one table of data, and its words.

COVID-19 is the only label that a PCR for SARS-CoV-2 can contradict. A rule holds or not on ``Facts`` alone, which are kept
with what it led to: its words say afterwards what was known then.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from diagnosis.models import CaseRules, DiscrepancyVerdict, PcrResult, SecondReadCauseKind
from diagnosis.sentences import Sentence

COVID = "covid19"
NORMAL = "normal"
#: What a reader signs of an image that shows too little: it claims nothing that could be contradicted.
NOT_A_READING = "non_diagnostic"

SECOND_READER = gettext_noop("second reader")


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one signed read.

    ``reader`` is the signed label's code. ``ai`` are the codes that the network names (several: it is unsure, or the images
    differ), ``ai_words`` the same as a ``Sentence`` is kept, ``ai_covid`` its highest COVID-19 score, 0..1. ``day`` counts from
    the first symptoms (day 0) to the X-ray.
    """

    reader: str
    reader_name: str
    ai: tuple[str, ...] = ()
    ai_words: str = ""
    ai_covid: float | None = None
    pcr: str = ""
    day: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "ai": list(self.ai)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Facts:
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(
            **{**{name: value for name, value in values.items() if name in known}, "ai": tuple(values["ai"])}
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """``leads_to`` ends its words; ``source`` says where it comes from. ``verdict`` is of a PCR that came after the signature."""

    code: str
    kind: SecondReadCauseKind
    holds: Callable[[Facts, CaseRules], bool]
    leads_to: str
    source: str
    verdict: DiscrepancyVerdict = DiscrepancyVerdict.CONTRADICTS

    @property
    def asks_second_reader(self) -> bool:
        return self.leads_to == SECOND_READER

    @property
    def tells_ai(self) -> bool:
        """Whether that it held, and its words, are data of the network."""
        return self.kind != SecondReadCauseKind.READER_PCR

    @property
    def tells_reader(self) -> bool:
        """Whether that it held tells what the reader signed."""
        return self.kind != SecondReadCauseKind.AI_PCR

    def words(self, facts: Facts) -> str:
        """“PCR negative, AI COVID-19 0.81, day 9: second reader”."""
        parts = []
        if self.kind != SecondReadCauseKind.READER_AI:
            parts.append(_(_PCR_WORDS[PcrResult(facts.pcr)]))
        if self.tells_ai:
            parts.append(_("AI %(words)s") % {"words": Sentence.from_kept(facts.ai_words)})
        if self.tells_reader:
            parts.append(_("reader %(label)s") % {"label": _(facts.reader_name)})
        if facts.day is not None and self.kind != SecondReadCauseKind.READER_AI:
            parts.append(_("day %(number)s") % {"number": facts.day})
        return f"{', '.join(parts)}: {_(self.leads_to)}"


_PCR_WORDS = {
    PcrResult.DETECTED: gettext_noop("PCR positive"),
    PcrResult.NOT_DETECTED: gettext_noop("PCR negative"),
    PcrResult.INDETERMINATE: gettext_noop("PCR indeterminate"),
}


def _changes_expected(facts: Facts, rules: CaseRules) -> bool:
    """Whether an X-ray of COVID-19 is expected to show something; where nobody knows the day it is."""
    return facts.day is None or facts.day >= rules.xray_expected_from_day


def _pcr_positive_reader_normal(facts: Facts, rules: CaseRules) -> bool:
    return facts.pcr == PcrResult.DETECTED and facts.reader == NORMAL and _changes_expected(facts, rules)


def _pcr_positive_reader_normal_early(facts: Facts, rules: CaseRules) -> bool:
    return facts.pcr == PcrResult.DETECTED and facts.reader == NORMAL and not _changes_expected(facts, rules)


def _pcr_positive_reader_other(facts: Facts, rules: CaseRules) -> bool:
    return facts.pcr == PcrResult.DETECTED and facts.reader not in (COVID, NORMAL, NOT_A_READING)


def _pcr_negative_reader_covid(facts: Facts, rules: CaseRules) -> bool:
    return facts.pcr == PcrResult.NOT_DETECTED and facts.reader == COVID


def _pcr_indeterminate(facts: Facts, rules: CaseRules) -> bool:
    return facts.pcr == PcrResult.INDETERMINATE


def _pcr_of_no_reading(facts: Facts, rules: CaseRules) -> bool:
    return facts.pcr in (PcrResult.DETECTED, PcrResult.NOT_DETECTED) and facts.reader == NOT_A_READING


def _pcr_agrees(facts: Facts, rules: CaseRules) -> bool:
    return (facts.pcr == PcrResult.DETECTED and facts.reader == COVID) or (
        facts.pcr == PcrResult.NOT_DETECTED and facts.reader not in (COVID, NOT_A_READING)
    )


def _pcr_negative_ai_covid(facts: Facts, rules: CaseRules) -> bool:
    return (
        facts.pcr == PcrResult.NOT_DETECTED
        and facts.ai == (COVID,)
        and facts.ai_covid is not None
        and facts.ai_covid >= float(rules.ai_covid_from)
    )


def _pcr_positive_ai_other(facts: Facts, rules: CaseRules) -> bool:
    if facts.pcr != PcrResult.DETECTED or not facts.ai or COVID in facts.ai:
        return False
    return facts.ai != (NORMAL,) or _changes_expected(facts, rules)


def _reader_ai_differ(facts: Facts, rules: CaseRules) -> bool:
    return bool(facts.ai) and facts.reader not in (*facts.ai, NOT_A_READING)


_OWN = "The project's own rule."
_EARLY_FILMS = (
    "Of 96 patients 43 % had changes on the first X-ray, on average 5.3 days after the first symptoms (Radiographic features of "
    "COVID-19, Singapore Med J); X-rays found 55 % up to day 2 and 79 % after day 11 (doi 10.1148/ryct.2020200337). The day from "
    "which changes are expected is the project's own choice."
)
_KUCIRKA = (
    "Kucirka et al., Ann Intern Med 2020;173:262: of people with COVID-19 a PCR misses 38 % on the day of the first symptoms, "
    "20 % three days later, 66 % sixteen days later. So a negative PCR rules nothing out, and a person must look."
)

RULES: tuple[Rule, ...] = (
    Rule(
        "pcr_positive_reader_other",
        SecondReadCauseKind.READER_PCR,
        _pcr_positive_reader_other,
        SECOND_READER,
        _OWN,
    ),
    Rule(
        "pcr_positive_reader_normal",
        SecondReadCauseKind.READER_PCR,
        _pcr_positive_reader_normal,
        SECOND_READER,
        _EARLY_FILMS,
    ),
    Rule(
        "pcr_negative_reader_covid",
        SecondReadCauseKind.READER_PCR,
        _pcr_negative_reader_covid,
        SECOND_READER,
        _KUCIRKA,
    ),
    Rule("reader_ai_differ", SecondReadCauseKind.READER_AI, _reader_ai_differ, SECOND_READER, _OWN),
    Rule(
        "pcr_negative_ai_covid",
        SecondReadCauseKind.AI_PCR,
        _pcr_negative_ai_covid,
        SECOND_READER,
        f"{_KUCIRKA} The score from which it counts is the project's own choice.",
    ),
    Rule(
        "pcr_positive_ai_other",
        SecondReadCauseKind.AI_PCR,
        _pcr_positive_ai_other,
        SECOND_READER,
        _EARLY_FILMS,
    ),
    Rule(
        "pcr_positive_reader_normal_early",
        SecondReadCauseKind.READER_PCR,
        _pcr_positive_reader_normal_early,
        gettext_noop("expected, X-rays are often normal so early"),
        _EARLY_FILMS,
        DiscrepancyVerdict.AGREES,
    ),
    Rule(
        "pcr_indeterminate",
        SecondReadCauseKind.READER_PCR,
        _pcr_indeterminate,
        gettext_noop("settles nothing, repeat the PCR where it matters"),
        _OWN,
        DiscrepancyVerdict.INCONCLUSIVE,
    ),
    Rule(
        "pcr_of_no_reading",
        SecondReadCauseKind.READER_PCR,
        _pcr_of_no_reading,
        gettext_noop("the read settles nothing, repeat the X-ray where it matters"),
        _OWN,
        DiscrepancyVerdict.INCONCLUSIVE,
    ),
    Rule(
        "pcr_agrees",
        SecondReadCauseKind.READER_PCR,
        _pcr_agrees,
        gettext_noop("nothing to do"),
        _OWN,
        DiscrepancyVerdict.AGREES,
    ),
)

_BY_CODE = {rule.code: rule for rule in RULES}

#: What asks for a second reader, the most urgent first.
CAUSE_RANK = {
    SecondReadCauseKind.READER_PCR: 0,
    SecondReadCauseKind.READER_AI: 1,
    SecondReadCauseKind.AI_PCR: 2,
    SecondReadCauseKind.REQUESTED: 3,
    SecondReadCauseKind.SAMPLED: 4,
}


def rule_named(code: str) -> Rule:
    return _BY_CODE[code]


def conflicts(facts: Facts, rules: CaseRules) -> Iterator[Rule]:
    """The rules that hold and ask for a second reader."""
    return (rule for rule in RULES if rule.asks_second_reader and rule.holds(facts, rules))


def late_pcr_rule(facts: Facts, rules: CaseRules) -> Rule:
    """What a PCR that came after the signature means for the read. Of reader and PCR one rule always holds."""
    return next(
        rule for rule in RULES if rule.kind == SecondReadCauseKind.READER_PCR and rule.holds(facts, rules)
    )
