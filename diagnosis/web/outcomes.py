"""What became of files, kept in the session until the next page has shown it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.utils.translation import gettext_lazy

from diagnosis.sentences import Sentence
from diagnosis.services.studies import FileOutcome, Receipt
from diagnosis.web.chips import Chip
from diagnosis.web.requests import PersonRequest

_KEY = "file_outcomes"

CHIPS = {
    FileOutcome.WAITING: Chip("hourglass", gettext_lazy("Waiting for your confirmation"), "attention"),
    FileOutcome.STORED: Chip("check", gettext_lazy("Stored"), "settled"),
    FileOutcome.DUPLICATE: Chip("copy", gettext_lazy("Duplicate"), "neutral"),
    FileOutcome.REFUSED: Chip("stop", gettext_lazy("Refused"), "alert"),
    FileOutcome.HELD: Chip("hourglass", gettext_lazy("Held for an administrator"), "attention"),
}


#: What a person must see first, when there are several.
URGENCY = (
    FileOutcome.REFUSED,
    FileOutcome.HELD,
    FileOutcome.WAITING,
    FileOutcome.DUPLICATE,
    FileOutcome.STORED,
)


def most_urgent(outcomes: Iterable[str]) -> str:
    return min(outcomes, key=URGENCY.index)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One file as its row shows it; ``kept_reason`` is a ``Sentence`` as it is kept; ``study_id`` leads to where the image is."""

    file_name: str
    outcome: str
    kept_reason: str
    study_id: str

    @classmethod
    def of(cls, receipt: Receipt) -> Outcome:
        study_id = str(receipt.image.study_id) if receipt.image else ""
        return cls(receipt.file_name, receipt.outcome.value, Sentence.of(receipt.reason).kept(), study_id)

    @classmethod
    def of_stored(cls, receipt: Mapping[str, Any]) -> Outcome:
        """Of what ``intake.resumable`` keeps of a receipt."""
        return cls(receipt["file_name"], receipt["outcome"], receipt["reason"], receipt["study_id"])

    @property
    def reason(self) -> Sentence:
        return Sentence.from_kept(self.kept_reason)

    @property
    def chip(self) -> Chip:
        return CHIPS[FileOutcome(self.outcome)]


def outcomes_keep(request: PersonRequest, receipts: Iterable[Receipt]) -> None:
    kept = request.session.get(_KEY, [])
    request.session[_KEY] = kept + [asdict(Outcome.of(receipt)) for receipt in receipts]


def outcomes_take(request: PersonRequest) -> list[Outcome]:
    return [Outcome(**values) for values in request.session.pop(_KEY, [])]
