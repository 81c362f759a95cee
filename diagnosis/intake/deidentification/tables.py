"""The rules as tables for people: the page and the document show these, and nobody writes them by hand."""

from __future__ import annotations

import functools

from pydicom.tag import Tag

from diagnosis.intake.deidentification.rules import (
    EDITION,
    Action,
    AttributeRule,
    attribute_rule,
    attribute_rules,
)
from diagnosis.intake.dicom_header import TAGS

#: A directory of a CD is refused, so it says nothing here.
_NEVER_STORED = "FileSetID"


@functools.cache
def read_here() -> tuple[AttributeRule, ...]:
    """The attributes that the portal reads and shows, by tag."""
    return tuple(
        attribute_rule(tag) for tag in sorted(Tag(keyword) for keyword in TAGS if keyword != _NEVER_STORED)
    )


@functools.cache
def removed() -> tuple[AttributeRule, ...]:
    """Every attribute that does not stay as it came, by tag."""
    return tuple(attribute for attribute in attribute_rules() if attribute.rule.action is not Action.KEEP)


@functools.cache
def kept_by_group() -> tuple[tuple[str, tuple[AttributeRule, ...]], ...]:
    """Every attribute that stays, under the group of its tag."""
    groups: dict[str, list[AttributeRule]] = {}
    for attribute in attribute_rules():
        if attribute.rule.action is Action.KEEP:
            groups.setdefault(attribute.tag[1:5], []).append(attribute)
    return tuple((group, tuple(attributes)) for group, attributes in groups.items())


def as_markdown() -> str:
    """What goes, as ``docs/deidentification-table.md`` has it."""
    kept = sum(len(attributes) for _, attributes in kept_by_group())
    lines = [
        "# What goes from a de-identified copy",
        "",
        "Written by `manage.py deidentification_table` from the rules that the intake applies: PS3.15 "
        f"{EDITION} Table E.1-1, and what is",
        "stricter here. Private and unknown attributes, curves and overlays (groups 50xx, 60xx) go too. The other "
        f"{kept:,} attributes of the",
        "data dictionary stay; the portal's page “What goes and what stays” lists them.",
        "",
        "| Tag | Attribute | What becomes of it | Table E.1-1 |",
        "| --- | --- | --- | --- |",
    ]
    for attribute in removed():
        why = f" ({attribute.rule.why})" if attribute.rule.why else ""
        lines.append(
            f"| {attribute.tag} | {attribute.name} | {attribute.rule.action.value}{why} | {attribute.rule.code or '-'} |"
        )
    return "\n".join(lines) + "\n"
