"""Why a second reader is wanted and what a late PCR result means, in words."""

from __future__ import annotations

from django.utils.translation import gettext as _

from diagnosis.models import Discrepancy, SecondRead, SecondReadCause, SecondReadCauseKind
from diagnosis.services.case_rules import Facts, rule_named


def cause_words(cause: SecondReadCause) -> str:
    """Why a second reader is wanted, as a line."""
    if cause.rule:
        return rule_named(cause.rule).words(Facts.from_json(cause.facts))
    if cause.kind == SecondReadCauseKind.SAMPLED:
        return _("Drawn at random: %(share)s %% of all studies are read twice.") % {
            "share": cause.facts["share_percent"]
        }
    asked = _("Asked for by %(person)s") % {"person": cause.asked_by.display_name}
    return f"{asked}{': ' if cause.note else '.'}{cause.note}"


def cause_lines(second_read: SecondRead, *, ai_shown: bool) -> list[str]:
    """The causes that the person who looks may know: a conflict with the network is data of the network."""
    tells_ai = (SecondReadCauseKind.READER_AI, SecondReadCauseKind.AI_PCR)
    return [
        cause_words(cause) for cause in second_read.causes.all() if ai_shown or cause.kind not in tells_ai
    ]


def discrepancy_words(discrepancy: Discrepancy) -> str:
    return rule_named(discrepancy.rule).words(Facts.from_json(discrepancy.facts))
