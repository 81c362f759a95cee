"""From a trained network to a model folder: export, measurement, pictures, card."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from ml.data.duplicates import report
from ml.data.importers import SOURCES, UNLABELLED
from ml.data.manifest import add_hashes, list_images
from ml.data.split import TEST, TRAIN, UNSEEN, VALIDATION, save_split, unseen_rows, usable
from ml.evaluation.evaluate import evaluate
from ml.preprocessing import Preprocessing
from ml.serving import load_model
from ml.serving.folder import CARD, KERAS, ONNX, PREPROCESSING, SPLIT, file_digests
from ml.training import plots
from ml.training.config import Config
from ml.training.export import export_onnx, parity
from ml.training.work import DRAFT

CARD_FORMAT = 1


def write_model_folder(
    config: Config,
    network: keras.Model,
    *,
    name: str,
    version: str,
    preprocessing: Preprocessing,
    manifest: pd.DataFrame,
    duplicates: dict[str, Any],
    squares: np.ndarray,
    history: pd.DataFrame,
    seconds: float,
    data: Path,
    out: Path,
    work: Path,
) -> Path:
    """Write the whole folder beside its place, then move it there in one step. Returns `out`.

    Every figure in the card is measured on the finished export, through the code that serves it.
    """
    draft = work / DRAFT / out.name
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "plots").mkdir(parents=True)
    network.save(draft / KERAS)
    export_onnx(network, draft / ONNX)
    preprocessing.to_json(draft / PREPROCESSING)
    history.round(5).to_csv(draft / "history.csv", index=False)
    test = np.flatnonzero(manifest["split"] == TEST)
    differences = parity(network, draft / ONNX, squares[test[:256]][..., np.newaxis].astype(np.float32) / 255)
    unseen, unseen_card = _unseen(config, manifest, data)
    save_split(pd.concat([manifest, unseen], ignore_index=True), draft / SPLIT)
    plots.training_curves(history, draft / "plots" / "training.png")
    plots.class_counts(manifest, config.labels, draft / "plots" / "classes.png")
    plots.intensities(manifest, squares, config.labels, draft / "plots" / "intensity.png")
    card: dict[str, Any] = {
        "format": CARD_FORMAT,
        "name": name,
        "version": version,
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "labels": [{"code": code, "display": display} for code, display in config.labels.items()],
        "operating_point": {"rule": "argmax"},
        "limits": config.limits,
        "data": {
            "sources": [_source_card(source, manifest) for source in config.sources],
            "images": {
                side: {code: int(count) for code, count in rows["label"].value_counts().items()}
                for side, rows in manifest.groupby("split")
                if side in (TRAIN, VALIDATION, TEST)
            },
            "split": {
                "seed": config.seed,
                "file": SPLIT,
                "rule": "whole groups of near-twins and whole patients on one side, by class and source",
            },
            "duplicates": duplicates,
            **({"unseen_source": unseen_card} if unseen_card else {}),
        },
        "training": {
            "configuration": {
                key: value for key, value in config.to_dict().items() if key not in ("labels", "limits")
            },
            "parameters": network.count_params(),
            "epochs_run": len(history),
            "best_epoch": int(history.loc[history["val_loss"].idxmin(), "epoch"]),
            "minutes": round(seconds / 60, 1),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "libraries": {
                library: importlib.metadata.version(library)
                for library in ("keras", "tf2onnx", "onnxruntime", "numpy", "pillow")
            },
        },
        "runtime_parity": {"images": min(256, len(test)), "largest_difference": differences},
    }
    _write_card(card, draft)
    card["metrics"] = evaluate(load_model(draft), draft, data)
    matrix = card["metrics"]["test"]["confusion_matrix"]["rows_are_truth"]
    plots.confusion(matrix, list(config.labels.values()), draft / "plots" / "confusion.png")
    _write_card(card, draft)
    load_model(draft)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(draft, out)
    return out


def _write_card(card: dict[str, Any], folder: Path) -> None:
    document = json.dumps({**card, "files": file_digests(folder)}, indent=2, ensure_ascii=False)
    (folder / CARD).write_text(document + "\n", encoding="utf-8")


def _source_card(source: str, manifest: pd.DataFrame) -> dict[str, Any]:
    rows = manifest[manifest["source"] == source]
    return {
        "name": source,
        "published": SOURCES[source].published,
        "licence": SOURCES[source].licence,
        "images": {code: int(count) for code, count in rows["label"].value_counts().items()},
    }


def _unseen(config: Config, manifest: pd.DataFrame, data: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The unseen source's labelled frontal images without any twin in training or validation, and what was
    left out.
    """
    if config.unseen_source is None:
        return manifest.iloc[:0], {}
    listed = list_images(data, [config.unseen_source]).replace({"label": config.relabel})
    fit_for_use = listed[(listed["view"] == "frontal") & ~listed["label"].isin(UNLABELLED)].reset_index(
        drop=True
    )
    hashed = add_hashes(fit_for_use, data)
    single = usable(hashed)
    rows = unseen_rows(single, manifest[manifest["split"].isin([TRAIN, VALIDATION])])
    card = {
        **_source_card(config.unseen_source, rows),
        "images_listed": len(listed),
        "copies_left_out": len(hashed) - len(single),
        "near_twins_or_patients_of_training_left_out": len(single) - len(rows),
        "duplicates": report(hashed),
    }
    return rows.assign(split=UNSEEN, group=rows["group"] + manifest["group"].max() + 1), card
