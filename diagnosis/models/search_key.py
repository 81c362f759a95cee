"""The form in which names and numbers are looked up: one for what is stored and what is typed.

Without case, accents and punctuation, so that “muller” and “Müller”, “oneil” and “O'Neil”, “mrn 17” and “MRN-17” meet.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any

from django.db import models

#: Letters that Unicode does not decompose into a base letter and a mark.
_FOLDED = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "\u0131": "i",
        "ħ": "h",
        "ŧ": "t",
    }
)
#: As German names are typed on a keyboard without these letters.
_SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


def _letters(text: str) -> str:
    """``text`` casefolded and decomposed, without marks above and below letters."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_FOLDED))
    return "".join(char for char in decomposed if not unicodedata.category(char).startswith("M"))


def search_word(text: str) -> str:
    """One word as it is looked up: its letters and digits."""
    return "".join(char for char in _letters(text) if char.isalnum())


@functools.lru_cache(maxsize=4096)
def _component_words(component: str) -> tuple[str, ...]:
    """A component from each of its parts on: Garcia-Lopez is found by “garcia”, “garcia-lopez” and “lopez”."""
    found: list[str] = []
    spelt_out = unicodedata.normalize("NFC", component.casefold()).translate(_SPELT_OUT)
    for spelling in (component, spelt_out):
        parts = [part for part in re.split(r"[\W_]+", _letters(spelling)) if part]
        found += ["".join(parts[first:]) for first in range(len(parts))]
    return tuple(found)


def _words(text: str) -> list[str]:
    return [word for component in re.split(r"[\s^=,]+", text) for word in _component_words(component)]


def search_terms(*, person_name: str, mrn: str) -> str:
    """What a patient is found by, separated by blanks: the words of the name in every script, and the record number."""
    # Names in scripts without blanks are typed in one: 山田太郎.
    joined = [search_word(group) for group in person_name.split("=") if not group.isascii()]
    return " ".join(sorted({word for word in [*_words(person_name), *_words(mrn), *joined] if word}))


def name_key(person_name: str) -> str:
    """What a list is sorted by: family name first, without case and accents; the first group that holds a name."""
    for group in person_name.split("="):
        key = " ".join(_letters(group.replace("^", " ")).split())
        if key:
            return key
    return ""


class DerivedField(models.TextField):
    """Written anew from the row's other fields whenever the row is saved, alone or in bulk."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "editable": False, "default": ""})

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        value = str(getattr(model_instance, f"derived_{self.attname}"))
        setattr(model_instance, self.attname, value)
        return value
