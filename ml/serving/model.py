"""Load a model folder and ask it about one image."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml.imaging import refusal
from ml.preprocessing import Preprocessing
from ml.serving.folder import KERAS, ONNX, PREPROCESSING, ModelFolder
from ml.serving.heatmap import ShownMap
from ml.serving.novelty import NOVELTY, Novelty
from ml.serving.possible import PossibleLabels
from ml.serving.session import onnx_session

OUTPUTS = ("scores", "maps", "features")
# float32 (1, size, size, 1) to scores (1, n_classes), maps (1, h, w, n_classes) and features (1, n_features).
Runner = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


class ModelOutputError(RuntimeError):
    """The network gave something that is no probability; nothing of it may be shown or stored."""


@dataclass(frozen=True)
class ModelOutput:
    """What the network says about one image.

    `probabilities`: class code to 0..1, in label order, sum 1. `label`: the class of the highest. `maps`:
    float32 (n_classes, h, w), raw class-activation maps in label order, for `heat_map`; the mean of a class's
    map is its logit. `features`: float32 (n_features,), what the last layer found, averaged over all places
    (empty for a model of card format 1). `possible_labels`: the labels that cannot be ruled out at the level of
    the card's `conformal` block, in label order; `label` is always one of them. `novelty`: 0 and up, how far the
    image lies from all that the model was trained on, above 1 too far (None for a model without `novelty.npz`);
    see `ServedModel.check_familiar`. `timings`: `preprocessing_ms` and `network_ms`.
    """

    probabilities: dict[str, float]
    label: str
    maps: np.ndarray
    features: np.ndarray
    possible_labels: list[str]
    timings: dict[str, float]
    novelty: float | None = None

    @property
    def unsure(self) -> bool:
        """Whether more than one label is possible."""
        return len(self.possible_labels) > 1


@dataclass(frozen=True)
class ServedModel:
    """A verified model, ready to predict. `sha256` names the whole folder; `labels` are the class codes in
    order.
    """

    name: str
    version: str
    sha256: str
    labels: list[str]
    display_names: dict[str, str]
    card: dict[str, Any]
    preprocessing: Preprocessing
    run: Runner
    novelty: Novelty | None = None

    def predict(self, pixels: np.ndarray) -> ModelOutput:
        """Ask about one grey image: (rows, columns), 0..1, 1 = white, any size.

        The same pixels give the same bits each time. Raises ValueError for pixels out of range and
        ModelOutputError if the answer is not finite or not a distribution over the classes.
        """
        started = time.perf_counter()
        network_input = self.preprocessing(pixels)
        prepared = time.perf_counter()
        scores, maps, features = self.run(network_input)
        finished = time.perf_counter()
        row = np.asarray(scores[0], dtype=np.float64)
        finite = all(np.isfinite(part).all() for part in (row, maps, features))
        if row.shape != (len(self.labels),) or not finite:
            raise ModelOutputError("The network's answer is not finite or not one score a class.")
        if row.min() < 0 or abs(row.sum() - 1) > 1e-3:
            raise ModelOutputError("The network's scores are not a distribution over the classes.")
        probabilities = dict(zip(self.labels, row.tolist(), strict=True))
        label = self.labels[int(row.argmax())]
        possible = PossibleLabels.from_card(self.card)
        return ModelOutput(
            probabilities=probabilities,
            label=label,
            maps=np.ascontiguousarray(np.moveaxis(maps[0], -1, 0), dtype=np.float32),
            features=np.array(features[0], dtype=np.float32),
            possible_labels=possible(probabilities) if possible else [label],
            timings={
                "preprocessing_ms": (prepared - started) * 1e3,
                "network_ms": (finished - prepared) * 1e3,
            },
            novelty=None if self.novelty is None else self.novelty(features[0]),
        )

    @property
    def shown_map(self) -> ShownMap:
        """From `ModelOutput.maps` and a class code to the heat map that a reader is shown."""
        return ShownMap.from_card(self.card)

    def check_familiar(self, output: ModelOutput) -> None:
        """Raise `ImageRefused("unfamiliar")` where the image differs too much from what the model was trained on.

        Apart from `predict`, so that a measurement sees what the network says to every image.
        """
        if output.novelty is not None and output.novelty > 1:
            raise refusal("unfamiliar")


def load_model(folder: Path, runtime: str = "onnx", *, threads: int = 2) -> ServedModel:
    """Verify a model folder and load its network.

    `runtime`: `onnx` (ONNX Runtime, the served one) or `keras` (TensorFlow, imported only then; the same
    scores to 1e-4). `threads`: of one prediction, for `onnx`; they change the speed and not one bit of the
    result. Raises FileNotFoundError, ModelIntegrityError (before anything is parsed), or ValueError for
    another runtime's name.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"The runtime must be one of {', '.join(RUNTIMES)}, not {runtime!r}.")
    model = ModelFolder.open(Path(folder))
    ShownMap.from_card(model.card)
    display_names = {entry["code"]: entry["display"] for entry in model.card["labels"]}
    return ServedModel(
        name=model.card["name"],
        version=model.card["version"],
        sha256=model.sha256,
        labels=list(display_names),
        display_names=display_names,
        card=model.card,
        preprocessing=Preprocessing.from_json(model.contents[PREPROCESSING]),
        run=RUNTIMES[runtime](model, threads),
        novelty=Novelty.from_bytes(model.contents[NOVELTY]) if NOVELTY in model.contents else None,
    )


def _onnx_runner(model: ModelFolder, threads: int) -> Runner:
    session = onnx_session(model.contents[ONNX], threads=threads)
    entry = session.get_inputs()[0].name

    def run(network_input: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scores, maps, features = session.run(list(OUTPUTS), {entry: network_input})
        return scores, maps, features

    return run


def _keras_runner(model: ModelFolder, threads: int) -> Runner:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf

    # Keras reads a path: give it the verified bytes, not the file in the folder, which may have changed
    # since.
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / KERAS
        copy.write_bytes(model.contents[KERAS])
        network = keras.models.load_model(copy, compile=False)
    call = tf.function(lambda image: network(image, training=False))

    def run(network_input: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        outputs = call(tf.constant(network_input))
        scores, maps, features = (outputs[name].numpy() for name in OUTPUTS)
        return scores, maps, features

    return run


RUNTIMES: dict[str, Callable[[ModelFolder, int], Runner]] = {"onnx": _onnx_runner, "keras": _keras_runner}
