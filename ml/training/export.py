"""The runtime export: one ONNX file with both outputs, proved equal to Keras before it is accepted."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import keras
import numpy as np
import onnxruntime

from ml.training.network import MAPS, SCORES

TOLERANCE = 1e-4


class ExportDiffersError(RuntimeError):
    """The exported network does not give what the trained one gives."""


def export_onnx(network: keras.Model, path: Path) -> None:
    """Write `network` as ONNX with the outputs `scores` and `maps` and a free batch size."""
    # The exporter traces only a network that was called once; training calls another one that shares its
    # layers.
    network(np.zeros((1, *network.input_shape[1:]), np.float32))
    with warnings.catch_warnings():
        # Keras's exporter looks for an alias that NumPy has dropped; there is nothing for us to act on.
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*np.object.*")
        logging.getLogger("tf2onnx").setLevel(logging.WARNING)
        network.export(path, format="onnx", verbose=False)


def parity(network: keras.Model, path: Path, inputs: np.ndarray) -> dict[str, float]:
    """Largest difference between Keras and the export over `inputs` (n, size, size, 1), for scores and for
    maps.

    Maps are compared relative to the largest value of each image's maps (at least 1), as scores are out of 1.
    Raises ExportDiffersError above 1e-4.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0].name
    worst = {SCORES: 0.0, MAPS: 0.0}
    for start in range(0, len(inputs), 32):
        batch = inputs[start : start + 32]
        expected = {name: np.asarray(value) for name, value in network(batch, training=False).items()}
        for name, value in zip(worst, session.run(list(worst), {entry: batch}), strict=True):
            scale = (
                1.0
                if name == SCORES
                else np.maximum(np.abs(expected[name]).max(axis=(1, 2, 3), keepdims=True), 1)
            )
            worst[name] = max(worst[name], float((np.abs(value - expected[name]) / scale).max()))
    if max(worst.values()) > TOLERANCE:
        raise ExportDiffersError(
            f"The export differs from Keras by {worst}; at most {TOLERANCE} is accepted."
        )
    return worst
