"""What becomes of each attribute of a de-identified file: PS3.15 Table E.1-1 as data, and what is stricter here.

The page, the document and the code that writes the file all read these rules; there is no second list.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from enum import StrEnum

from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c
from pydicom.datadict import (
    dictionary_description,
    dictionary_is_retired,
    dictionary_keyword,
    dictionary_VR,
    keyword_dict,
)
from pydicom.tag import BaseTag, Tag

from ml.imaging import gettext_noop

#: The edition of PS3.15 whose table is applied.
EDITION = "2026c"


class Action(StrEnum):
    """What is done to an attribute, worded for people."""

    REMOVE = gettext_noop("removed")
    EMPTY = gettext_noop("emptied")
    REPLACE = gettext_noop("replaced by a fixed value")
    REPLACE_UID = gettext_noop("replaced by another UID")
    CLEAN_ITEMS = gettext_noop("kept, its items cleaned by the same rules")
    KEEP = gettext_noop("kept")


#: The lists of the library by their code in the table (PS3.15 Table E.1-1a), and what is chosen where the standard leaves a
#: choice: what keeps the file valid for the most kinds of objects. Z/D is emptied, not replaced: one made-up Patient ID for
#: everybody would make one patient of all. None of the Z/D attributes is of type 1 in the X-ray objects (PS3.3 A.2, A.8, A.26).
_CHOICES: Mapping[str, tuple[str, Action]] = {
    "X_TAGS": ("X", Action.REMOVE),
    "Z_TAGS": ("Z", Action.EMPTY),
    "D_TAGS": ("D", Action.REPLACE),
    "U_TAGS": ("U", Action.REPLACE_UID),
    "Z_D_TAGS": ("Z/D", Action.EMPTY),
    "X_Z_TAGS": ("X/Z", Action.EMPTY),
    "X_D_TAGS": ("X/D", Action.REPLACE),
    "X_Z_D_TAGS": ("X/Z/D", Action.REPLACE),
    "X_Z_U_STAR_TAGS": ("X/Z/U*", Action.CLEAN_ITEMS),
}
#: Curves and overlays: the table removes their data, here the whole repeating groups go (PS3.5 7.6).
_GRAPHICS_GROUPS = (0x5000, 0x6000)
#: PS3.5 7.1: what is of this group or a lower one is no part of a data set.
LAST_GROUP_OUTSIDE = 0x0004
#: Value representations of persons, moments and ages: what the table does not name of these is removed too.
_PERSONAL_VRS = frozenset({"PN", "DA", "DT", "TM", "AS"})
#: What is about the patient, the request and the visit, and no picture: of these only what the table names is left, emptied.
_PERSONAL_GROUPS = frozenset({0x0010, 0x0032, 0x0038})
#: Text without a bound, and addresses: a person writes into them whatever comes to mind.
_FREE_TEXT_VRS = frozenset({"LT", "ST", "UT", "UR"})
#: UIDs that say of what kind something is, and those of code systems; every other UID is somebody's.
_KINDS = ("ClassUID", "ClassesInStudy", "ClassesInSeries", "ClassesSupported", "TransferSyntaxUID")
_CODE_SYSTEMS = frozenset({"CodingSchemeUID", "ContextUID", "MappingResourceUID", "URNCodeValue"})
#: Short text that the standard has retired: nobody maintains what belongs into it.
_TEXT_VRS = frozenset({"AE", "LO", "SH", "UC"})


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """``code`` is that of Table E.1-1; empty for an attribute that the table does not name."""

    action: Action
    code: str = ""
    why: str = ""


PRIVATE = Rule(Action.REMOVE, "X", gettext_noop("private attribute"))
UNKNOWN = Rule(Action.REMOVE, "", gettext_noop("unknown to the data dictionary"))
OUTSIDE = Rule(Action.REMOVE, "", gettext_noop("no part of a data set"))
GROUP_LENGTH = Rule(Action.REMOVE, "", gettext_noop("group length, retired"))
GRAPHICS = Rule(Action.REMOVE, "X", gettext_noop("curves and overlays, which may hold text"))
PERSONAL = Rule(Action.REMOVE, "", gettext_noop("a person, a moment or an age; stricter than the table"))
FREE_TEXT = Rule(Action.REMOVE, "", gettext_noop("free text or an address; stricter than the table"))
PATIENT = Rule(Action.REMOVE, "", gettext_noop("about the patient or the visit; stricter than the table"))
OWN_UID = Rule(Action.REPLACE_UID, "", gettext_noop("stricter than the table"))
RETIRED_TEXT = Rule(Action.REMOVE, "", gettext_noop("retired free text; stricter than the table"))
KEPT = Rule(Action.KEEP)


@functools.cache
def listed() -> Mapping[int, Rule]:
    """Table E.1-1 by tag, without its repeating groups."""
    return {
        Tag(tag): Rule(action, code)
        for name, (code, action) in _CHOICES.items()
        for tag in getattr(dicomfields_2026c, name)
        if len(tag) == 2
    }


def rule_of(tag: BaseTag) -> Rule:
    """What becomes of the attribute, wherever in the data set it is."""
    if tag.is_private:
        return PRIVATE
    if tag.group <= LAST_GROUP_OUTSIDE:
        return OUTSIDE
    if tag.group & 0xFF00 in _GRAPHICS_GROUPS:
        return GRAPHICS
    if tag in listed():
        return listed()[tag]
    if tag.element == 0:
        return GROUP_LENGTH
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return UNKNOWN
    if tag.group in _PERSONAL_GROUPS:
        return PATIENT
    return _unlisted(dictionary_keyword(tag), vr, is_retired=dictionary_is_retired(tag))


def _unlisted(keyword: str, vr: str, *, is_retired: bool) -> Rule:
    """Stricter than the standard, for which an attribute that the table does not name stays as it is."""
    if keyword in _CODE_SYSTEMS:
        return KEPT
    if vr == "UI":
        return KEPT if keyword.endswith(_KINDS) else OWN_UID
    if vr in _PERSONAL_VRS:
        return PERSONAL
    if vr in _FREE_TEXT_VRS:
        return FREE_TEXT
    return RETIRED_TEXT if vr in _TEXT_VRS and is_retired else KEPT


@dataclasses.dataclass(frozen=True, slots=True)
class AttributeRule:
    """One attribute for a table that people read; ``tag`` as (gggg,eeee)."""

    tag: str
    name: str
    keyword: str
    rule: Rule


def attribute_rules() -> Iterator[AttributeRule]:
    """Every attribute of the table and of the data dictionary that a data set may hold, by tag.

    Commands, file meta information and directories (groups 0000 to 0004) are no part of one: nothing of them is stored.
    """
    for tag in sorted({*listed(), *keyword_dict.values()}):
        if Tag(tag).group > LAST_GROUP_OUTSIDE:
            yield attribute_rule(Tag(tag))


def attribute_rule(tag: BaseTag) -> AttributeRule:
    try:
        name, keyword = dictionary_description(tag), dictionary_keyword(tag)
    except KeyError:
        name, keyword = "Newer than the data dictionary", ""
    return AttributeRule(f"({tag.group:04X},{tag.element:04X})", name, keyword, rule_of(tag))
