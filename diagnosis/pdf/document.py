"""What stands in a report's PDF, in words: who builds one has decided what the reader may see."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from django.utils.translation import gettext, gettext_noop

UNPRINTABLE = gettext_noop(
    "Signs that no font of this portal can draw are given by their Unicode number, such as [U+0F68]."
)

#: What is printed on every report. ``{page}`` and ``{pages}`` are filled in where the pages are counted.
_PRINTED = {
    "title": gettext_noop("Chest X-ray report"),
    "page": gettext_noop("Page {page} of {pages}"),
    "logo": gettext_noop("Logo of the hospital"),
    "study_uid": gettext_noop("Study UID"),
    "reading": gettext_noop("Reading"),
    "second_opinion": gettext_noop("Second opinion"),
    "image": gettext_noop("Image"),
    "network_says": gettext_noop("The network says"),
    "scores": gettext_noop("Scores, 0 to 1"),
    "model": gettext_noop("Model"),
    "timeline": gettext_noop("Timeline"),
    "when": gettext_noop("When"),
    "day_of_illness": gettext_noop("Day of illness"),
    "what": gettext_noop("What"),
    "later": gettext_noop("(after this version was signed)"),
    "versions": gettext_noop("Versions"),
    "version": gettext_noop("Version"),
    "signed_by": gettext_noop("Signed by"),
    "why": gettext_noop("Why"),
    "unprintable": UNPRINTABLE,
}


def printed_words() -> dict[str, str]:
    """In the language that is active."""
    return {name: gettext(text) for name, text in _PRINTED.items()}


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph of what a person typed; ``rtl`` when its first letter belongs to a script that runs leftwards."""

    text: str
    rtl: bool = False

    @classmethod
    def all_of(cls, text: str) -> list[Self]:
        return [cls(line, _runs_leftwards(line)) for line in text.splitlines() if line.strip()]


def _runs_leftwards(text: str) -> bool:
    """By the first strong character, as the Unicode bidirectional algorithm does (UAX #9, rules P2 and P3)."""
    for character in text:
        match unicodedata.bidirectional(character):
            case "L":
                return False
            case "R" | "AL":
                return True
    return False


@dataclass(frozen=True, slots=True)
class Fact:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    paragraphs: list[Paragraph]


@dataclass(frozen=True, slots=True)
class Picture:
    """``jpeg`` are the bytes of the file, as numbers: JSON knows no bytes."""

    caption: str
    jpeg: list[int]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the network said about one image, and which one."""

    image: str
    said: str
    scores: str
    model: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry of the timeline; ``is_later``: it came after the report was signed."""

    when: str
    day: str
    what: str
    is_later: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    number: int
    kind: str
    who: str
    when: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDocument:
    site: str
    address: list[str]
    logo: list[int]
    status: str
    notices: list[str]
    patient: list[Fact]
    study: list[Fact]
    study_instance_uid: str
    pictures: list[Picture]
    sections: list[Section]
    reading: list[Fact]
    opinions: list[Opinion]
    opinion_sentence: str
    limits: list[str]
    timeline: list[Moment]
    versions: list[Version]
    signature: str
    footer: str
    identity: str
    made: str
    language: str = "en"
    """BCP 47, for who has it read aloud."""
    words: Mapping[str, str] = field(default_factory=printed_words)
    unprintable: str = field(default="")
