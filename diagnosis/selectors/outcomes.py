"""What the second opinion did to a read: first read, second opinion and final read, against the PCR where there is one."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy

from diagnosis.models import CaseRules, PcrResult, Review, ReviewKind, Study
from diagnosis.selectors.cases import pcr_that_counts

COVID = "covid19"
#: What a reader signs of an image that shows too little: neither right nor wrong.
CLAIMS_NOTHING = "non_diagnostic"


class Outcome(TextChoices):
    """The first five are the classes of the reading protocol; the others are what these leave over."""

    AGREED = "agreed", gettext_lazy("Agreed from the first")
    AI_HELPED = "ai_helped", gettext_lazy("The AI helped")
    AI_MISLED = "ai_misled", gettext_lazy("The AI misled")
    HELD_FIRM = "held_firm", gettext_lazy("The reader held firm")
    BOTH_WRONG = "both_wrong", gettext_lazy("Both were wrong")
    AI_NOT_FOLLOWED = "ai_not_followed", gettext_lazy("The AI was right and was not followed")
    AI_FOLLOWED = (
        "ai_followed",
        gettext_lazy("The reader changed to the AI's label; no PCR says who was right"),
    )
    OWN_CHANGE = "own_change", gettext_lazy("The reader changed, and not to the AI's label")
    NOT_CLASSED = "not_classed", gettext_lazy("No first read, or no single label of the AI")


#: (first read right, AI right, final read right), where a PCR says so. Where all three are right the PCR cannot tell the
#: labels apart, and what they did to each other counts as without one.
AGAINST_PCR: Mapping[tuple[bool, bool, bool], Outcome | None] = {
    (True, True, True): None,
    (True, True, False): Outcome.OWN_CHANGE,
    (True, False, True): Outcome.HELD_FIRM,
    (True, False, False): Outcome.AI_MISLED,
    (False, True, True): Outcome.AI_HELPED,
    (False, True, False): Outcome.AI_NOT_FOLLOWED,
    (False, False, True): Outcome.OWN_CHANGE,
    (False, False, False): Outcome.BOTH_WRONG,
}

#: (first read is the AI's label, final read is the first, final read is the AI's); what is missing cannot be.
WITHOUT_PCR: Mapping[tuple[bool, bool, bool], Outcome] = {
    (True, True, True): Outcome.AGREED,
    (True, False, False): Outcome.OWN_CHANGE,
    (False, True, False): Outcome.HELD_FIRM,
    (False, False, True): Outcome.AI_FOLLOWED,
    (False, False, False): Outcome.OWN_CHANGE,
}


def outcome(*, first: str, final: str, ai: str, pcr: str) -> Outcome:
    """The class of one case: labels as codes, ``ai`` empty where it named no single one, ``pcr`` a ``PcrResult`` or empty."""
    if not first or not ai:
        return Outcome.NOT_CLASSED
    rights = [_is_right(label, pcr) for label in (first, ai, final)]
    if None not in rights:
        first_right, ai_right, final_right = (bool(right) for right in rights)
        decided = AGAINST_PCR[first_right, ai_right, final_right]
        if decided is not None:
            return decided
    return WITHOUT_PCR[first == ai, final == first, final == ai]


def _is_right(label: str, pcr: str) -> bool | None:
    """Whether a PCR for SARS-CoV-2 bears the label out; ``None`` where it says nothing of it."""
    if label == CLAIMS_NOTHING or pcr not in (PcrResult.DETECTED, PcrResult.NOT_DETECTED):
        return None
    return (label == COVID) == (pcr == PcrResult.DETECTED)


def outcome_of(study: Study, review: Review) -> Outcome:
    """The class of ``study`` by the read that stands. It tells of the network: only for who may see that."""
    if review.kind == ReviewKind.ADDENDUM or review.first_read is None:
        return Outcome.NOT_CLASSED
    said = {label for seen in review.seen_predictions for label in seen.get("possible_labels", [])}
    pcr = pcr_that_counts(study, CaseRules.of(study.site_id))
    return outcome(
        first=review.first_read.label,
        final=review.label,
        ai=said.pop() if len(said) == 1 else "",
        pcr=pcr.result if pcr else "",
    )
