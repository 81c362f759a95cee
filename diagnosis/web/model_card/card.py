"""A card with what its sections look up often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diagnosis.web.model_card.parts import Picture, at, words


@dataclass(frozen=True, slots=True)
class Card:
    """``names``: label code → its name for people, in the order of the network's outputs. ``pictures``: the names of
    those that were registered with the model.
    """

    data: dict[str, Any]
    names: dict[str, str]
    pictures: frozenset[str]

    def at(self, *keys: str) -> Any:
        """What lies under ``keys``, or ``None``."""
        return at(self.data, *keys)

    def name(self, code: object) -> str:
        """A label's name for people; of another finding the code, as words."""
        return self.names.get(str(code), words(str(code)))

    def picture(self, name: str, caption: str, alt: str) -> list[Picture]:
        return [Picture(name, caption, alt)] if name in self.pictures else []
