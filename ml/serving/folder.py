"""A trained model is a folder. `card.json` names the sha256 of every other file; its own sha256 names the
model.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CARD = "card.json"
ONNX = "model.onnx"
KERAS = "model.keras"
PREPROCESSING = "preprocessing.json"
SPLIT = "split.csv.gz"
DEFAULT = "default.json"
ZOO = Path(__file__).resolve().parent.parent / "zoo"


class ModelIntegrityError(RuntimeError):
    """The folder is not the model that its card describes: a file is altered, missing, or not named in the
    card.
    """


@dataclass(frozen=True)
class ModelFolder:
    """A model folder whose every file was found to be what the card says, before any was parsed."""

    path: Path
    card: dict[str, Any]
    sha256: str
    contents: dict[str, bytes]

    @classmethod
    def open(cls, path: Path) -> ModelFolder:
        """Read and verify. Raises FileNotFoundError without a card, ModelIntegrityError for anything that
        differs.

        The bytes that were verified are the bytes kept: a file changed afterwards on disk changes nothing.
        """
        card_bytes = (path / CARD).read_bytes()
        try:
            card = json.loads(card_bytes)
            expected = dict(card["files"])
        except (ValueError, KeyError, TypeError) as error:
            raise ModelIntegrityError(f"{path.name}: card.json is damaged.") from error
        found = {entry.relative_to(path).as_posix(): entry for entry in path.rglob("*") if not entry.is_dir()}
        found.pop(CARD)
        differing = sorted(set(found) ^ set(expected))
        if differing:
            raise ModelIntegrityError(
                f"{path.name}: the card and the folder disagree on: {', '.join(differing)}."
            )
        contents = {name: file.read_bytes() for name, file in found.items()}
        for name, content in contents.items():
            if hashlib.sha256(content).hexdigest() != expected[name]:
                raise ModelIntegrityError(f"{path.name}: {name} is not the file that the card describes.")
        return cls(path, card, hashlib.sha256(card_bytes).hexdigest(), contents)


def file_digests(folder: Path) -> dict[str, str]:
    """sha256 of every file under `folder` but the card, by relative path, in order: the card's `files`."""
    files = sorted(entry for entry in folder.rglob("*") if entry.is_file() and entry != folder / CARD)
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }


def default_model_folder() -> Path:
    """The folder that the environment variable CXR_MODEL_DIR names, else the classifier of `ml/zoo/default.json`.

    Raises FileNotFoundError where there is none.
    """
    named = os.environ.get("CXR_MODEL_DIR")
    return Path(named) if named else _served("classifier")


def default_gate_folder() -> Path:
    """The folder of the gate that `ml/zoo/default.json` names. Raises FileNotFoundError where there is none."""
    return _served("gate")


def _served(role: str) -> Path:
    """The folder in `ml/zoo` that is served for a role. Named, not found by date: a model that lies in the zoo
    for comparison must not be served because it is the newest.
    """
    named = json.loads((ZOO / DEFAULT).read_bytes())
    if role not in named:
        raise FileNotFoundError(f"{ZOO / DEFAULT} names no {role}.")
    return ZOO / str(named[role])
