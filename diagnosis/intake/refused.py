"""What an ``ImageRefused`` says, as a sentence in the language of whoever reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from diagnosis.intake.deidentification import REFUSALS as DEIDENTIFICATION
from diagnosis.sentences import Sentence
from ml.imaging import REFUSALS, ImageRefused

SENTENCES: Mapping[str, str] = {**REFUSALS, **DEIDENTIFICATION}
#: A number with commas between its thousands, which mean something else in other languages.
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+")


def refusal_sentence(refused: ImageRefused) -> Sentence:
    """The sentence of the code. Where the refusal says something else than that, its own words, which nobody translated."""
    values: dict[str, str | int | Sentence] = {
        name: _number(value) for name, value in refused.details.items()
    }
    if refused.problem:
        values["problem"] = Sentence(refused.problem, **values)
    sentence = Sentence(SENTENCES.get(refused.code, ""), **values)
    return sentence if sentence.english == str(refused) else Sentence(str(refused))


def _number(value: str) -> str | int:
    return int(value.replace(",", "")) if _GROUPED.fullmatch(value) else value
