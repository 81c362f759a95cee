"""From a trained network to a model folder: export, measurement, pictures, card."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
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
from ml.evaluation.calibration import fit_temperature
from ml.evaluation.card import complete
from ml.preprocessing import Preprocessing
from ml.serving.folder import KERAS, ONNX, PREPROCESSING, SPLIT
from ml.serving.novelty import NOVELTY
from ml.training import plots
from ml.training.config import Config
from ml.training.export import export_onnx, fold_temperature, logits_of
from ml.training.fit import kept_epoch
from ml.training.novelty import novelty_of
from ml.training.work import DRAFT


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
    started_from: dict[str, Any] | None,
    data: Path,
    out: Path,
    work: Path,
) -> Path:
    """Write the whole folder beside its place, then move it there in one step. Returns `out`.

    `started_from`: the model that the training went on from, as `ml.training.train.origin_of` describes it.
    The temperature is fitted on the validation split and folded into `network`, in place, before the export;
    every figure in the card is measured on the finished export, through the code that serves it.
    """
    draft = work / DRAFT / out.name
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "plots").mkdir(parents=True)
    validation = np.flatnonzero(manifest["split"] == VALIDATION)
    numbers = manifest["label"].map({code: number for number, code in enumerate(config.labels)})
    temperature = fit_temperature(
        logits_of(network, squares[validation]), numbers.iloc[validation].to_numpy(dtype=int)
    )
    fold_temperature(network, temperature)
    network.save(draft / KERAS)
    export_onnx(network, draft / ONNX)
    preprocessing.to_json(draft / PREPROCESSING)
    novelty, novelty_card = novelty_of(network, manifest, squares, seed=config.seed)
    (draft / NOVELTY).write_bytes(novelty.to_bytes())
    history.round(5).to_csv(draft / "history.csv", index=False)
    unseen, unseen_card = _unseen(config, manifest, data)
    save_split(pd.concat([manifest, unseen], ignore_index=True), draft / SPLIT)
    plots.training_curves(history, draft / "plots" / "training.png")
    plots.class_counts(manifest, config.labels, draft / "plots" / "classes.png")
    plots.intensities(manifest, squares, config.labels, draft / "plots" / "intensity.png")
    card: dict[str, Any] = {
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
            **_auxiliary(config, manifest),
            "split": {
                "seed": config.seed,
                "file": SPLIT,
                "rule": "whole groups of near-twins and whole patients on one side, by class and source",
            },
            "duplicates": duplicates,
            **({"unseen_source": unseen_card} if unseen_card else {}),
        },
        "novelty": novelty_card,
        "training": {
            "configuration": {
                key: value for key, value in config.to_dict().items() if key not in ("labels", "limits")
            },
            "parameters": network.count_params(),
            "epochs_run": len(history),
            "kept_epoch": kept_epoch(history.to_dict("records"), config.schedule.keep),
            "minutes": round(seconds / 60, 1),
            **({"started_from": started_from} if started_from else {}),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}",
            "libraries": {
                library: importlib.metadata.version(library)
                for library in ("keras", "tf2onnx", "onnxruntime", "numpy", "pillow")
            },
        },
    }
    complete(card, draft, data, temperature=temperature)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(draft, out)
    return out


def _auxiliary(config: Config, manifest: pd.DataFrame) -> dict[str, Any]:
    """What training told apart beside the labels."""
    if not config.auxiliary:
        return {}
    counts = manifest["label"].value_counts()
    return {
        "auxiliary": {
            code: {"display": display, "images": int(counts.get(code, 0))}
            for code, display in config.auxiliary.items()
        }
    }


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
