"""A model folder made by hand in milliseconds: the folder, the card and the runtime are real, the weights are random."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from ml.preprocessing import Preprocessing
from ml.serving.folder import CARD, ONNX, PREPROCESSING, file_digests

SIZE, CHANNELS = 32, 6
FOUR_LABELS = {
    "covid19": "COVID-19",
    "viral_pneumonia": "Viral Pneumonia",
    "bacterial_pneumonia": "Bacterial Pneumonia",
    "normal": "Normal",
}


def png(grey: int) -> bytes:
    """A plot of one colour."""
    file = io.BytesIO()
    Image.new("L", (8, 6), grey).save(file, "PNG")
    return file.getvalue()


def write_tiny_model(
    folder: Path,
    labels: Mapping[str, str],
    *,
    name: str = "tiny4",
    version: str = "0.1.0",
    card: Mapping[str, Any] | None = None,
) -> Path:
    """Write a folder that ``ml.serving.load_model`` serves, with these labels (code → display); ``card`` adds to its card."""
    folder.mkdir(parents=True)
    (folder / "plots").mkdir()
    (folder / "plots" / "confusion.png").write_bytes(png(90))
    (folder / ONNX).write_bytes(_network(len(labels)).SerializeToString())
    Preprocessing(size=SIZE).to_json(folder / PREPROCESSING)
    written = {
        "format": 2,
        "name": name,
        "version": version,
        "created": "2026-01-02T03:04:05+00:00",
        "labels": [{"code": code, "display": display} for code, display in labels.items()],
        "operating_point": {"rule": "argmax"},
        "limits": ["Random weights: it knows nothing."],
        **(card or {}),
    }
    (folder / CARD).write_text(json.dumps(written))
    name_all_files(folder)
    return folder


def name_all_files(folder: Path) -> None:
    """Make the card name what lies in the folder now: anybody can write a card."""
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, "files": file_digests(folder)}))


def _network(n_labels: int) -> onnx.ModelProto:
    """Image → convolution → features; a map for each label whose mean is its logit, as in a trained export."""
    random = np.random.default_rng(3)
    weights = {
        "kernel": random.normal(0, 0.3, (CHANNELS, 1, 8, 8)),
        "evidence": random.normal(0, 0.5, (CHANNELS, n_labels)),
        "places": np.array([1, 2]),
    }
    constants = [
        numpy_helper.from_array(value.astype(np.int64 if name == "places" else np.float32), name)
        for name, value in weights.items()
    ]
    nodes = [
        helper.make_node("Transpose", ["image"], ["channels_first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["channels_first", "kernel"], ["found"], strides=[8, 8]),
        helper.make_node("Relu", ["found"], ["positive"]),
        helper.make_node("Transpose", ["positive"], ["places_first"], perm=[0, 2, 3, 1]),
        helper.make_node("ReduceMean", ["places_first", "places"], ["features"], keepdims=0),
        helper.make_node("MatMul", ["places_first", "evidence"], ["maps"]),
        helper.make_node("ReduceMean", ["maps", "places"], ["logits"], keepdims=0),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=-1),
    ]
    outputs = {"scores": [1, n_labels], "maps": [1, None, None, n_labels], "features": [1, CHANNELS]}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, SIZE, SIZE, 1])],
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
