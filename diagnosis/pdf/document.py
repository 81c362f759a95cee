"""What stands in a report's PDF, in words: who builds one has decided what the reader may see."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Self


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
    unprintable: str = field(default="")
