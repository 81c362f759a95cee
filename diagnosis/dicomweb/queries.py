"""The query of a search as conditions on records (PS3.18 8.3.4, PS3.4 C.2.2.2)."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Callable, Iterable

from django.db.models import Q
from django.http import QueryDict
from pydicom.datadict import dictionary_has_tag, keyword_dict, keyword_for_tag
from rest_framework.exceptions import ValidationError

#: What one search answers at most; the caller asks for the rest with ``offset``.
MOST_RESULTS = 100
#: Parameters that are no attribute (PS3.18 Table 8.3.4-1).
LIMIT, OFFSET, INCLUDE_FIELD, FUZZY_MATCHING, ACCEPT = (
    "limit",
    "offset",
    "includefield",
    "fuzzymatching",
    "accept",
)
EMPTY_VALUE = '""'
UID_LIST = re.compile(r"[0-9.]{1,64}(?:[\\,][0-9.]{1,64}){0,99}")
TIME = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d{1,6}))?)?)?", re.ASCII)

Matcher = Callable[[str, str], Q]


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """One matching key: ``field`` is where the value is in the records, seen from the level that is searched."""

    field: str
    match: Matcher


def _regex(field: str, pattern: str, *, name: bool = False) -> Q:
    lookup = f"{field}__iregex" if name else f"{field}__regex"
    return Q(**{lookup: pattern})


def _wildcards(value: str, any_character: str) -> str:
    """``*`` any run of characters, ``?`` one (PS3.4 C.2.2.2.4)."""
    signs = {"*": f"{any_character}*", "?": any_character}
    return "".join(signs.get(char, re.escape(char)) for char in value)


def text(field: str, value: str) -> Q:
    """The value itself, or with wildcards; case counts (PS3.4 C.2.2.2.1)."""
    if "*" not in value and "?" not in value:
        return Q(**{field: value})
    return _regex(field, f"^{_wildcards(value, '.')}$")


def person_name(field: str, value: str) -> Q:
    """Any one component group; neither case nor empty components at the end count."""
    pattern = _wildcards(value.rstrip("^"), "[^=]")
    return _regex(field, rf"(^|=){pattern}\^*(=|$)", name=True)


def uids(field: str, value: str) -> Q:
    """One UID of a list (PS3.4 C.2.2.2.2)."""
    if not UID_LIST.fullmatch(value):
        raise ValueError("Send one UID, or several with commas between them.")
    return Q(**{f"{field}__in": re.split(r"[\\,]", value)})


def date(field: str, value: str) -> Q:
    return _range(field, value, _date, "Send a date as YYYYMMDD, or a range with a hyphen.")


def time(field: str, value: str) -> Q:
    return _range(field, value, _time, "Send a time as HHMMSS, or a range with a hyphen.")


def _range(field: str, value: str, parse: Callable[[str], tuple[object, object]], sentence: str) -> Q:
    """One value, or a range with its ends, either of which may be open (PS3.4 C.2.2.2.5)."""
    first, hyphen, last = value.partition("-")
    try:
        if not hyphen:
            low, high = parse(first)
            return Q(**{f"{field}__range": (low, high)})
        if not first and not last:
            raise ValueError
        condition = Q()
        if first:
            condition &= Q(**{f"{field}__gte": parse(first)[0]})
        if last:
            condition &= Q(**{f"{field}__lte": parse(last)[1]})
        return condition
    except ValueError:
        raise ValueError(sentence) from None


def _date(value: str) -> tuple[dt.date, dt.date]:
    if not re.fullmatch(r"\d{8}", value, re.ASCII):
        raise ValueError
    day = dt.date(int(value[:4]), int(value[4:6]), int(value[6:]))
    return day, day


def _time(value: str) -> tuple[dt.time, dt.time]:
    """The first and the last moment that an incomplete time stands for."""
    match = TIME.fullmatch(value)
    if match is None:
        raise ValueError
    hour, minute, second, fraction = match.groups()
    return (
        dt.time(int(hour), int(minute or 0), int(second or 0), int((fraction or "").ljust(6, "0"))),
        dt.time(int(hour), int(minute or 59), int(second or 59), int((fraction or "").ljust(6, "9"))),
    )


def number(field: str, value: str) -> Q:
    if not re.fullmatch(r"-?\d{1,9}", value, re.ASCII):
        raise ValueError("Send a whole number.")
    return Q(**{field: int(value)})


def any_of(field: str, value: str) -> Q:
    """One code of a list, or with wildcards."""
    condition = Q()
    for code in re.split(r"[\\,]", value):
        condition |= text(field, code.strip().upper())
    return condition


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """``conditions`` on the records, which part of the results is asked for, and which attributes on top."""

    conditions: Q
    limit: int
    offset: int
    include: frozenset[str]
    fuzzy: bool
    searched: str
    """What was searched for, for the record."""

    def includes(self, keywords: Iterable[str]) -> bool:
        return "all" in self.include or not self.include.isdisjoint(keywords)


def parse(query: QueryDict, keys: dict[str, Key]) -> Query:
    """Raises ``ValidationError`` that names the parameter and says what is wrong with it.

    A key that is not matched here is refused: to leave it out would answer another question than was asked.
    """
    errors: dict[str, str] = {}
    conditions, searched = Q(), []
    for name in query:
        if name in (LIMIT, OFFSET, INCLUDE_FIELD, FUZZY_MATCHING, ACCEPT):
            continue
        key = keys.get(_keyword(name))
        values = query.getlist(name)
        if key is None:
            errors[name] = f"This is not searched for here. Known are {', '.join(keys)}."
        elif len(values) > 1 or any(ord(char) < 32 for char in values[0]) or len(values[0]) > 6500:
            errors[name] = "Send it once, in one line."
        elif values[0] not in ("", EMPTY_VALUE, "*"):  # Universal matching (PS3.4 C.2.2.2.3).
            try:
                conditions &= key.match(key.field, values[0])
            except ValueError as error:
                errors[name] = str(error)
            searched.append(f"{_keyword(name)}={values[0]}")
    numbers: dict[str, int] = {}
    for name, default in ((LIMIT, MOST_RESULTS), (OFFSET, 0)):
        value = query.get(name, str(default))
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            errors[name] = "Send a whole number, 0 or more."
        else:
            numbers[name] = int(value)
    include = {
        field.strip() for value in query.getlist(INCLUDE_FIELD) for field in value.split(",") if field.strip()
    }
    unknown = [field for field in include if field != "all" and not _keyword(field.partition(".")[0])]
    if unknown:
        errors[INCLUDE_FIELD] = "Send “all”, or attributes by their keywords or tags."
    fuzzy = query.get(FUZZY_MATCHING, "false").lower()
    if fuzzy not in ("true", "false"):
        errors[FUZZY_MATCHING] = "Send true or false."
    if errors:
        raise ValidationError(errors)
    return Query(
        conditions=conditions,
        limit=min(numbers[LIMIT], MOST_RESULTS),
        offset=numbers[OFFSET],
        include=frozenset(
            field if field == "all" else _keyword(field.partition(".")[0]) for field in include
        ),
        fuzzy=fuzzy == "true",
        searched=" ".join(searched),
    )


def _keyword(name: str) -> str:
    """The keyword of an attribute that is named by keyword or tag; “” for what is none."""
    if name in keyword_dict:
        return name
    if re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        tag = int(name, 16)
        return keyword_for_tag(tag) if dictionary_has_tag(tag) else f"private{tag:08X}"
    return ""
