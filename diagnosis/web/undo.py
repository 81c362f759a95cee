"""What was just done, with the way back: shown once, on the next page or under the row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.urls import reverse

_KEY = "undo"


@dataclass(frozen=True, slots=True)
class Undo:
    """``text`` says what was done, without a name of a patient; ``url`` and ``fields`` are the form that undoes it, if any."""

    text: str
    url: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, url_name: str, *arguments: Any, **fields: str) -> Undo:
        return cls(text, reverse(url_name, args=arguments), fields)


def undo_keep(session: SessionBase, undo: Undo) -> None:
    session[_KEY] = asdict(undo)


def undo_take(session: SessionBase) -> Undo | None:
    kept = session.pop(_KEY, None)
    return Undo(**kept) if kept else None
