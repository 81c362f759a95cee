"""Serving a model folder. Light to import: no TensorFlow, no pandas, no plotting."""

from ml.serving.folder import ModelFolder, ModelIntegrityError, default_model_folder
from ml.serving.heatmap import heat_map
from ml.serving.model import ModelOutput, ModelOutputError, ServedModel, load_model

__all__ = [
    "ModelFolder",
    "ModelIntegrityError",
    "ModelOutput",
    "ModelOutputError",
    "ServedModel",
    "default_model_folder",
    "heat_map",
    "load_model",
]
