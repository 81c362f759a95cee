"""What a section of the page is made of, and how figures are read from a card and written.

A card is data of a trained model: of any format, perhaps older than this code. Nothing here raises for what is missing
or has another shape; it is then said to be not measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _

# Between what belongs together: on a phone a figure breaks between its value, its interval and its counts alone.
NBSP = "\u00a0"

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The first cell of a row names it. A figure is text, ready to be shown."""

    caption: str
    head: Row
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Picture:
    """``alt`` states the main figure of the plot, for those who do not see it."""

    name: str
    caption: str
    alt: str


@dataclass(frozen=True, slots=True)
class Section:
    """One heading. ``plain`` says in plain words what the figures below it mean and how far they go.

    ``language`` is that of ``points`` where they are the card's own words and not the portal's.
    """

    slug: str
    title: str
    plain: str
    level: int = 2
    facts: Sequence[Row] = field(default_factory=list)
    points: Sequence[str] = field(default_factory=list)
    language: str = ""
    tables: Sequence[Table] = field(default_factory=list)
    pictures: Sequence[Picture] = field(default_factory=list)
    is_container: bool = False

    @property
    def is_measured(self) -> bool:
        return self.is_container or any((self.facts, self.points, self.tables, self.pictures))


def at(value: Any, *keys: str) -> Any:
    """What lies in nested dictionaries under ``keys``; ``None`` where there is no such thing."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def entries(value: Any, *keys: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The dictionaries in the dictionary under ``keys``, by name."""
    found = at(value, *keys)
    if isinstance(found, dict):
        yield from ((str(name), entry) for name, entry in found.items() if isinstance(entry, dict))


def texts(value: Any, *keys: str) -> list[str]:
    """The list of sentences under ``keys``."""
    found = at(value, *keys)
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


def number(value: Any) -> float | None:
    """``value`` where it is a number; JSON's true and false are none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def count(value: Any) -> str:
    """“3,055”."""
    found = number(value)
    return not_measured() if found is None else _written(found, 0)


def decimals(value: Any, places: int = 3) -> str:
    """“0.012”."""
    found = number(value)
    return not_measured() if found is None else _written(found, places)


def per_cent(value: Any) -> str:
    """“95.4 %”."""
    found = number(value)
    return not_measured() if found is None else f"{_written(100 * found, 1)}{NBSP}%"


def share(entry: Any, *, counts: bool = True) -> str:
    """A share with its 95 % interval and counts: “90.8 % (88.3 to 92.7), 610 of 672”."""
    text = per_cent(at(entry, "value"))
    if text == not_measured():
        return text
    low, high = _interval(entry)
    if low is not None and high is not None:
        text += f" ({_between(_written(100 * low, 1), _written(100 * high, 1))})"
    right, total = number(at(entry, "correct")), number(at(entry, "total"))
    if counts and right is not None and total:
        text += f", {_of(_written(right, 0), _written(total, 0))}"
    return text


def area(entry: Any) -> str:
    """A figure in 0..1 with its 95 % interval: “0.991 (0.989 to 0.994)”."""
    text = decimals(at(entry, "value"))
    low, high = _interval(entry)
    return (
        text if low is None or high is None else f"{text} ({_between(_written(low, 3), _written(high, 3))})"
    )


def not_measured() -> str:
    return _("not measured")


def _written(value: float, places: int) -> str:
    """Rounded, and then as the language writes it: by itself that would cut the rest off."""
    return number_format(Decimal(f"{value:.{places}f}"), places, use_l10n=True, force_grouping=True)


def _between(low: str, high: str) -> str:
    return (_("%(low)s to %(high)s") % {"low": low, "high": high}).replace(" ", NBSP)


def _of(part: str, whole: str) -> str:
    return (_("%(part)s of %(whole)s") % {"part": part, "whole": whole}).replace(" ", NBSP)


def _interval(entry: Any) -> tuple[float | None, float | None]:
    found = at(entry, "interval_95")
    return (
        (number(found[0]), number(found[1])) if isinstance(found, list) and len(found) == 2 else (None, None)
    )


def rows_of(table: Table) -> list[Table]:
    """``table``, unless it has no row."""
    return [table] if table.rows else []


def words(code: str) -> str:
    """A name in a card as words: “only_lungs” → “only lungs”."""
    return code.replace("_", " ")
