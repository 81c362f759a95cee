"""What one text has that another has not, word by word, so that a person reads it as one text with marks."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum

# Scripts without spaces are compared sign by sign: whole sentences would else count as one word.
_WORD = re.compile(r"\s+|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]|\w+|[^\w\s]")


class Change(StrEnum):
    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Passage:
    change: Change
    text: str


def difference(old: str, new: str) -> list[Passage]:
    """``old`` and ``new`` as one text. All but what was added gives ``old`` again, all but what was removed ``new``.

    A space alone between two changes is part of them: "left lower" → "right upper" is one change and not two.
    """
    before, after = _WORD.findall(old), _WORD.findall(new)
    changes: list[tuple[str, str]] = []
    passages: list[Passage] = []
    matcher = difflib.SequenceMatcher(None, before, after)
    codes = matcher.get_opcodes()
    for place, (code, first, end, new_first, new_end) in enumerate(codes):
        was, became = "".join(before[first:end]), "".join(after[new_first:new_end])
        between = 0 < place < len(codes) - 1
        if code == "equal" and not (between and was.isspace()):
            passages += _told(changes)
            changes.clear()
            passages.append(Passage(Change.SAME, was))
        else:
            changes.append((was, became))
    return passages + _told(changes)


def _told(changes: list[tuple[str, str]]) -> list[Passage]:
    """What was removed, then what stands there now."""
    removed = "".join(was for was, _ in changes)
    added = "".join(became for _, became in changes)
    both = (Passage(Change.REMOVED, removed), Passage(Change.ADDED, added))
    return [passage for passage in both if passage.text]
