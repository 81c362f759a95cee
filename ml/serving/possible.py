"""Which labels an image may have: the conformal set that says "unsure" instead of guessing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PossibleLabels:
    """The rule of a card's `conformal` block, applied to the probabilities of one image.

    A label is possible if its probability reaches its threshold: the least ambiguous sets of Sadinle, Lei and
    Wasserman 2019, with a threshold for each class, so that the promised share of the images *of each class*
    keep their own label. Two additions, which can only widen a set and so keep the promise: the label of the
    highest probability is always possible; and where no label reaches its threshold, the image is like none of
    the classes, and the most probable labels are possible until together they hold 1 - `alpha`.
    """

    thresholds: Mapping[str, float]
    alpha: float

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> PossibleLabels | None:
        """The rule of a model's card; None for a card that has none yet."""
        block = card.get("conformal")
        return cls(block["thresholds"], block["alpha"]) if block else None

    def __call__(self, probabilities: Mapping[str, float]) -> list[str]:
        """The possible labels, in the order given; never empty."""
        ranked = sorted(probabilities, key=probabilities.__getitem__, reverse=True)
        possible = {code for code in ranked if probabilities[code] >= self.thresholds[code]}
        if not possible:
            mass = 0.0
            for code in ranked:
                possible.add(code)
                mass += probabilities[code]
                if mass >= 1 - self.alpha:
                    break
        possible.add(ranked[0])
        return [code for code in probabilities if code in possible]
