"""The runtime export: the temperature folded in, and one ONNX file with all three outputs."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import keras
import numpy as np

from ml.training.network import MAPS


def logits_of(network: keras.Model, squares: np.ndarray, batch: int = 64) -> np.ndarray:
    """The logits (n, n_classes), float64, of squares (n, size, size), uint8: the means of the maps."""
    parts = [
        np.asarray(
            network(squares[start : start + batch, ..., np.newaxis].astype(np.float32) / 255, training=False)[
                MAPS
            ]
        ).mean(axis=(1, 2), dtype=np.float64)
        for start in range(0, len(squares), batch)
    ]
    return np.concatenate(parts)


def fold_temperature(network: keras.Model, temperature: float) -> None:
    """Divide the logits by `temperature`, in place, inside the layer that makes them.

    The maps are divided with them: the mean of a class's map stays the logit that its score is made of, and no
    runtime has to know of a temperature.
    """
    evidence = network.get_layer("evidence")
    evidence.set_weights([weights / temperature for weights in evidence.get_weights()])


def export_onnx(network: keras.Model, path: Path) -> None:
    """Write `network` as ONNX with the outputs `scores`, `maps` and `features` and a free batch size."""
    # The exporter traces only a network that was called once; training calls another one that shares its
    # layers.
    network(np.zeros((1, *network.input_shape[1:]), np.float32))
    with warnings.catch_warnings():
        # Keras's exporter looks for an alias that NumPy has dropped; there is nothing for us to act on.
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*np.object.*")
        logging.getLogger("tf2onnx").setLevel(logging.WARNING)
        network.export(path, format="onnx", verbose=False)
