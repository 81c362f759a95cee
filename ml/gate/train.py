"""`python -m ml gate train`: from folders of chest X-rays to a gate's folder."""

from __future__ import annotations

import datetime as dt
import gzip
import importlib.metadata
import json
import logging
import math
import os
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

# TensorFlow reads this when it is first imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import onnxruntime
import pandas as pd

from ml.data.importers import SOURCES
from ml.data.split import TRAIN, VALIDATION
from ml.evaluation.parity import TOLERANCE, RuntimesDifferError
from ml.gate.drawings import SIZE
from ml.gate.evaluate import HELD_OUT, evaluate_gate, held_out_rows
from ml.gate.fit import CHANGES, STEPS, answers, fit
from ml.gate.kinds import CLASSES, FRONTAL, KINDS, Material
from ml.gate.network import SCORES
from ml.gate.pictures import (
    PHANTOM,
    frontal_images,
    given_pictures,
    labels_of,
    load_chests,
    phantoms,
    photographs,
    small,
    training_pictures,
)
from ml.preprocessing import Preprocessing
from ml.serving.folder import CARD, KERAS, ONNX, PREPROCESSING, file_digests
from ml.serving.gate import Rules, load_gate
from ml.training.export import export_onnx

log = logging.getLogger(__name__)

SEED = 1
#: Drawn chests of the demonstration.
PHANTOMS = {TRAIN: 240, VALIDATION: 60}
#: A side of 112 is half of what the classifier sees; no chest is twice as long as wide; below this deviation
#: nothing can be made out.
RULES = Rules(shorter_side=112, longer_to_shorter=2.0, deviation=0.02)
#: Of the chest X-rays of each source in the validation at most this share is refused. A stricter share lets more of
#: what is no chest X-ray through: with 1 %, 98.8 % of the pictures made from the validation's images were refused, with
#: this 99.1 %.
WRONGLY_REFUSED = 0.015
LIMITS = [
    "Most of what it was taught to refuse is drawn or made from chest X-rays; real side views, slices and other parts "
    "of the body were not available.",
    "A chest mirrored left to right is let through: where the heart lies is not certain enough at this resolution.",
    "Drawn chests of the demonstration are let through on purpose, so that the demonstration can be used.",
    "It judges form at 64 x 64 pixels: it does not see a slight blur, a wrong marker or who the patient is.",
]


def train_gate(data: Path, out: Path, *, negatives: Path | None = None, steps: int = STEPS) -> Path:
    """Train a gate on the chest X-rays under `data` and write its folder `out`, whole or not at all.

    `negatives`: a folder of images that are no frontal chest, in folders of their own, four fifths of which are
    learned from. Raises FileExistsError if `out` is there, FileNotFoundError without any publisher's folder.
    """
    if out.exists():
        raise FileExistsError(
            f"{out} is there already. A gate is never written over: give it another version."
        )
    started = time.monotonic()
    rows = frontal_images(data, seed=SEED)
    sides = {side: rows[rows["split"] == side] for side in (TRAIN, VALIDATION)}
    chests = {side: load_chests(part, data) for side, part in sides.items()}
    others, names = training_pictures(
        list(KINDS.values()), Material(chests[TRAIN], photographs(TRAIN)), seed=SEED
    )
    squares = {side: np.concatenate([small(chests[side]), phantoms(side, PHANTOMS[side])]) for side in sides}
    strata = {
        side: np.concatenate([part["sources"], [PHANTOM] * PHANTOMS[side]]).astype(str)
        for side, part in sides.items()
    }
    labels = labels_of(names)
    if negatives:
        own = given_pictures(negatives)
        others = np.concatenate([others, own])
        labels = np.concatenate([labels, np.full(len(own), CLASSES.index("other"), np.int32)])
    network = fit(squares[TRAIN], strata[TRAIN], others, labels, steps=steps, seed=SEED)
    threshold = least_frontal(answers(network, squares[VALIDATION])[0], strata[VALIDATION])
    minutes = (time.monotonic() - started) / 60
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / out.name
        training = {"minutes": round(minutes, 1), "steps": steps, "given_negatives": negatives is not None}
        write_gate_folder(network, threshold, rows, draft, training=training, check=squares[VALIDATION][:256])
        card = json.loads((draft / CARD).read_text(encoding="utf-8"))
        card["figures"] = evaluate_gate(load_gate(draft), held_out_rows(draft), data)
        _write_card(card, draft)
        load_gate(draft)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(draft, out)
    return out


def least_frontal(scores: np.ndarray, strata: np.ndarray) -> float:
    """The highest threshold at which no source has more than its allowed share of chest X-rays refused.

    `scores` (n, n_classes) and `strata` (n,) of the validation's chest X-rays.
    """
    frontal = scores[:, CLASSES.index(FRONTAL)]
    names = {name for names in strata for name in names.split()}
    inside = {name: np.array([name in names.split() for names in strata]) for name in names}
    allowed = [np.quantile(frontal[rows], WRONGLY_REFUSED, method="lower") for rows in inside.values()]
    return math.floor(float(min(allowed)) * 1e4) / 1e4


def write_gate_folder(
    network: keras.Model,
    threshold: float,
    rows: pd.DataFrame,
    folder: Path,
    *,
    training: dict[str, Any],
    check: np.ndarray,
) -> None:
    """Write network, export, preprocessing, held-out rows and card. `training`: what the card says of the run beside
    the settings; `check`: squares that the export is proved on.
    """
    folder.mkdir(parents=True)
    network.save(folder / KERAS)
    export_onnx(network, folder / ONNX)
    Preprocessing(size=SIZE).to_json(folder / PREPROCESSING)
    held = rows.loc[rows["split"] != TRAIN, ["path", "sources", "split", "sha256"]]
    (folder / HELD_OUT).write_bytes(gzip.compress(held.to_csv(index=False).encode(), mtime=0))
    name, _, version = folder.name.rpartition("-")
    card = {
        "format": 2,
        "kind": "gate",
        "name": name,
        "version": version,
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "classes": list(CLASSES),
        "thresholds": {
            "rules": asdict(RULES),
            "least_frontal": threshold,
            "chosen_on": f"validation: at most {WRONGLY_REFUSED:.1%} of any source's chest X-rays refused",
        },
        "limits": LIMITS,
        "data": {
            "chests": {side: int(count) for side, count in rows["split"].value_counts().items()},
            "sources": {
                name: {"published": SOURCES[name].published, "licence": SOURCES[name].licence}
                for name in sorted(set(rows["source"]))
            },
            "kinds": {
                kind.name: {"class": kind.label, "origin": kind.origin, "licence": kind.licence}
                for kind in KINDS.values()
            },
        },
        "training": {
            "seed": SEED,
            "parameters": network.count_params(),
            "changes": asdict(CHANGES),
            **training,
            "libraries": {
                library: importlib.metadata.version(library)
                for library in ("keras", "onnxruntime", "numpy", "pillow")
            },
        },
        "runtime_parity": {
            "images": len(check),
            "largest_difference": _parity(network, folder / ONNX, check),
        },
    }
    _write_card(card, folder)


def _write_card(card: dict[str, Any], folder: Path) -> None:
    document = json.dumps({**card, "files": file_digests(folder)}, indent=2, ensure_ascii=False)
    (folder / CARD).write_text(document + "\n", encoding="utf-8")


def _parity(network: keras.Model, path: Path, squares: np.ndarray) -> float:
    """The largest difference of a score between Keras and the export. Raises RuntimesDifferError above 1e-4."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (exported,) = session.run([SCORES], {"image": squares[..., np.newaxis].astype(np.float32) / 255})
    difference = float(np.abs(exported - answers(network, squares)[0]).max())
    if difference > TOLERANCE:
        raise RuntimesDifferError(
            f"The export differs from Keras by {difference}; at most {TOLERANCE} is accepted."
        )
    return difference
