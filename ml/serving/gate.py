"""The input gate: whether an image is one upright frontal chest X-ray, asked before the network is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml.imaging import ImageRefused, refusal
from ml.preprocessing import Preprocessing
from ml.serving.folder import ONNX, PREPROCESSING, ModelFolder, ModelIntegrityError, default_gate_folder
from ml.serving.session import onnx_session

#: The class that is let through.
FRONTAL = "frontal"
#: Of each other class of the network, the code of its refusal and what its sentence is filled with.
REASONS: dict[str, tuple[str, dict[str, int]]] = {
    "lateral": ("lateral", {}),
    "turned_90": ("turned", {"degrees": 90}),
    "turned_180": ("turned", {"degrees": 180}),
    "turned_270": ("turned", {"degrees": 270}),
    "tilted": ("tilted", {}),
    "inverted": ("inverted", {}),
    "part": ("incomplete_chest", {}),
    "damaged": ("damaged_picture", {}),
    "other": ("not_frontal_chest", {}),
}


@dataclass(frozen=True)
class Rules:
    """What is certain without a network. `shorter_side`: least pixels; `longer_to_shorter`: largest proportion;
    `deviation`: least standard deviation of the greys, of 0..1.
    """

    shorter_side: int
    longer_to_shorter: float
    deviation: float


@dataclass(frozen=True)
class Gate:
    """A verified gate. `least_frontal`: the score of "frontal" below which an image is refused. `sha256` names the
    whole folder.
    """

    name: str
    version: str
    sha256: str
    card: dict[str, Any]
    classes: list[str]
    rules: Rules
    least_frontal: float
    preprocessing: Preprocessing
    session: Any

    def check(self, pixels: np.ndarray) -> None:
        """Let one grey image pass: (rows, columns), 0..1, 1 = white, any size.

        Raises `ImageRefused` with the code and the sentence of what is wrong, and ValueError for pixels that are
        no image or out of range.
        """
        refused = self.refusal_of(pixels)
        if refused is not None:
            raise refused

    def refusal_of(self, pixels: np.ndarray) -> ImageRefused | None:
        """What `check` would raise, or None where it would let the image pass."""
        square = self.preprocessing.square(pixels)
        rows, columns = np.shape(pixels)
        return self.refusal_of_reduced(square, rows, columns)

    def refusal_of_reduced(self, square: np.ndarray, rows: int, columns: int) -> ImageRefused | None:
        """The same for an image of that size of which `preprocessing` made the square already."""
        size = {"rows": rows, "columns": columns}
        if min(rows, columns) < self.rules.shorter_side:
            return refusal("too_small", limit=self.rules.shorter_side, **size)
        if max(rows, columns) > self.rules.longer_to_shorter * min(rows, columns):
            return refusal("odd_shape", limit=f"{self.rules.longer_to_shorter:g}", **size)
        return self.refusal_of_square(square)

    def refusal_of_square(self, square: np.ndarray) -> ImageRefused | None:
        """The same for a picture that is the gate's square already, whatever size the image had."""
        if float(square.std()) < self.rules.deviation:
            return refusal("plain")
        scores = self.scores(square)
        if scores[FRONTAL] >= self.least_frontal:
            return None
        code, details = REASONS[max(REASONS, key=lambda label: scores[label])]
        return refusal(code, **details)

    def scores(self, square: np.ndarray) -> dict[str, float]:
        """The network's score of each class for a square of its size, float32 in 0..1."""
        (scores,) = self.session.run(["scores"], {"image": square[np.newaxis, :, :, np.newaxis]})
        if scores.shape != (1, len(self.classes)) or not np.isfinite(scores).all():
            raise RuntimeError("The gate's answer is not finite or not one score a class.")
        return dict(zip(self.classes, scores[0].tolist(), strict=True))


def load_gate(folder: Path | None = None) -> Gate:
    """Verify a gate's folder and load its network, on one thread; without a folder the one that
    `ml/zoo/default.json` names.

    Raises FileNotFoundError, or ModelIntegrityError for a folder that differs from its card or is no gate.
    """
    model = ModelFolder.open(Path(folder or default_gate_folder()))
    card = model.card
    if card.get("kind") != "gate" or set(card["classes"]) != {FRONTAL, *REASONS}:
        raise ModelIntegrityError(f"{model.path.name} is not a gate that this version can use.")
    return Gate(
        name=card["name"],
        version=card["version"],
        sha256=model.sha256,
        card=card,
        classes=card["classes"],
        rules=Rules(**card["thresholds"]["rules"]),
        least_frontal=card["thresholds"]["least_frontal"],
        preprocessing=Preprocessing.from_json(model.contents[PREPROCESSING]),
        session=onnx_session(model.contents[ONNX], threads=1),
    )
