"""The only door from the portal to the network. Nothing else imports ``ml.serving``."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from diagnosis.limits import image_limits
from ml.imaging import load_image
from ml.preprocessing import Preprocessing
from ml.serving import (
    Gate,
    ModelFolder,
    ModelIntegrityError,
    ModelOutput,
    ServedModel,
    ShownMap,
    default_gate_folder,
    default_model_folder,
    load_gate,
    load_model,
)
from ml.serving.folder import PREPROCESSING

__all__ = [
    "ModelIntegrityError",
    "ModelOutput",
    "analyse",
    "analyse_reduced",
    "heat_map",
    "input_sizes",
    "read",
    "served_files",
    "served_gate",
    "served_model",
    "takes",
]


@functools.cache
def served_model() -> ServedModel:
    """The model of this process, loaded once; every file's sha256 is checked before it is opened.

    Raises ``FileNotFoundError`` without a model folder, ``ModelIntegrityError`` for an incomplete or altered one.
    """
    return load_model(_folder(), runtime=settings.CXR_RUNTIME)


@functools.cache
def served_gate() -> Gate:
    """The gate before the model, loaded once. Raises as ``served_model`` does."""
    return load_gate()


def served_files() -> dict[str, bytes]:
    """The verified files of ``served_model()`` by their names in its card. Raises as that does, and ``ModelIntegrityError``
    when another model lies in the folder by now.
    """
    folder = ModelFolder.open(_folder())
    if folder.sha256 != served_model().sha256:
        raise ModelIntegrityError(f"{folder.path.name} was replaced while it was read. Start again.")
    return folder.contents


def _folder() -> Path:
    return Path(settings.CXR_MODEL_DIR or default_model_folder())


def read(content: bytes) -> NDArray[np.float32]:
    """The grey pixels of one file. Raises ``ml.imaging.ImageRefused`` where it cannot become an image."""
    return load_image(content, limits=image_limits()).pixels


def analyse(pixels: NDArray[np.float32]) -> ModelOutput:
    """Scores and class-activation maps for one image (rows, columns; 0 = black to 1 = white).

    Raises ``ml.imaging.ImageRefused`` with the reason where the image is not one upright frontal chest X-ray, or is unlike all
    that the model learnt from.
    """
    served_gate().check(pixels)
    return _predict(pixels)


def analyse_reduced(squares: Mapping[int, NDArray[np.float32]], *, rows: int, columns: int) -> ModelOutput:
    """``analyse`` for an image of that size of which ``ml.preprocessing`` made the squares of ``input_sizes``, to the same bits.

    Raises ``ImageRefused`` as ``analyse``, and ``KeyError`` for squares that ``takes`` says no of.
    """
    gate, model = served_gate(), served_model()
    for_gate, for_model = squares[gate.preprocessing.size], squares[model.preprocessing.size]
    refused = gate.refusal_of_reduced(for_gate, rows, columns)
    if refused is not None:
        raise refused
    return _predict(for_model)


def takes(squares: Mapping[int, NDArray[np.float32]]) -> bool:
    """Whether the squares that gate and model of this process take are among them."""
    return {served_gate().preprocessing.size, served_model().preprocessing.size} <= squares.keys()


def _predict(pixels: NDArray[np.float32]) -> ModelOutput:
    model = served_model()
    output = model.predict(pixels)
    model.check_familiar(output)
    return output


@functools.cache
def input_sizes() -> tuple[int, ...]:
    """The sides of the squares that gate and model take, read without loading them; none where they cannot be read."""
    try:
        files = [folder / PREPROCESSING for folder in (_folder(), default_gate_folder())]
        return tuple(sorted({Preprocessing.from_json(file).size for file in files}))
    except (OSError, ValueError):
        return ()


def heat_map(*, activation_maps: bytes, card: dict[str, Any], label: str) -> np.ndarray:
    """Where the network looked for one class: float32 (224, 224) in 0..1, aligned with the image stretched to a square.

    ``activation_maps`` is the .npy of a prediction, float32 (classes, rows, columns); ``card``, that of the model which made
    it, says how its maps are shown.
    """
    maps = np.load(io.BytesIO(activation_maps), allow_pickle=False)
    return ShownMap.from_card(card)(maps, label)
