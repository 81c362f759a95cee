"""Serving a model folder. Light to import: no TensorFlow, no pandas, no plotting."""

from ml.serving.folder import ModelFolder, ModelIntegrityError, default_gate_folder, default_model_folder
from ml.serving.gate import Gate, load_gate
from ml.serving.heatmap import ShownMap, heat_map
from ml.serving.model import ModelOutput, ModelOutputError, ServedModel, load_model

__all__ = [
    "Gate",
    "ModelFolder",
    "ModelIntegrityError",
    "ModelOutput",
    "ModelOutputError",
    "ServedModel",
    "ShownMap",
    "default_gate_folder",
    "default_model_folder",
    "heat_map",
    "load_gate",
    "load_model",
]
