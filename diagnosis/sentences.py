"""Sentences that are kept: said by whoever found out, read later by somebody else in another language.

What is kept is the English text, as the catalogues know it, and what is to be filled in. It is translated when it is shown, so
that a refusal which a worker wrote down speaks the language of each of its readers.
"""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext, override

SOURCE_LANGUAGE = "en"
#: No English sentence begins so.
_WITH_VALUES = '["'


class Sentence(Promise):
    """``text`` in English, marked with ``gettext_noop``, with ``{name}`` where ``values`` are filled in.

    ``str()`` says it in the language that is active at that moment. Without values nothing is filled in: whatever braces a
    finished sentence holds stay as they are.
    """

    def __init__(self, text: str, **values: str | float | Sentence) -> None:
        self.text = text
        self.values = values

    def __str__(self) -> str:
        said = gettext(self.text) if self.text else ""
        if not self.values:
            return said
        return said.format(**{name: _in_words(value) for name, value in self.values.items()})

    @property
    def english(self) -> str:
        with override(SOURCE_LANGUAGE):
            return str(self)

    def __repr__(self) -> str:
        return f"Sentence({self.english!r})"

    def __bool__(self) -> bool:
        return bool(self.text)

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, str | Promise) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.english)

    def __contains__(self, part: str) -> bool:
        return part in str(self)

    def kept(self, longest: int | None = None) -> str:
        """As text of at most ``longest`` characters; one that is too long for its values to be kept apart is kept in English."""
        form = self.text if not self.values else json.dumps(self._parts(), ensure_ascii=False)
        return form if longest is None or len(form) <= longest else self.english[:longest]

    def _parts(self) -> list[Any]:
        values = {
            name: value._parts() if isinstance(value, Sentence) else value
            for name, value in self.values.items()
        }
        return [self.text, values]

    @classmethod
    def from_kept(cls, form: str) -> Sentence:
        """The sentence that ``kept`` wrote, or that was written down in English before there were others."""
        return cls._of_parts(json.loads(form)) if form.startswith(_WITH_VALUES) else cls(form)

    @classmethod
    def _of_parts(cls, parts: list[Any]) -> Sentence:
        text, values = parts
        return cls(
            text,
            **{
                name: cls._of_parts(value) if isinstance(value, list) else value
                for name, value in values.items()
            },
        )

    @classmethod
    def of(cls, words: object) -> Sentence:
        """What an error says, where it is one of these already; else its finished words."""
        if isinstance(words, Sentence):
            return words
        if isinstance(words, Exception) and words.args and isinstance(words.args[0], Sentence):
            return words.args[0]
        return cls(str(words))


Words = str | Sentence


def _in_words(value: str | float | Sentence) -> str:
    """Whole numbers as the language writes them; others, which are scores, to the hundredth."""
    match value:
        case int():
            return number_format(value, use_l10n=True, force_grouping=True)
        case float():
            return number_format(round(value, 2), decimal_pos=2, use_l10n=True)
    return str(value)


class SentenceField(models.CharField):
    """A column of text that holds a sentence as ``Sentence.kept`` writes it; read, it is a ``Sentence``."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Sentence | None:
        return None if value is None else Sentence.from_kept(value)

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, Sentence) else super().to_python(value)

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Sentence):
            value = value.kept(self.max_length)
        return super().get_prep_value(value)

    def deconstruct(self) -> tuple[str, str, Any, dict[str, Any]]:
        """For the migrations it is the column of text that it was before."""
        name, _path, args, keywords = super().deconstruct()
        return name, "django.db.models.CharField", args, keywords
