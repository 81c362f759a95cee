"""`python -m ml train`: from a folder of images to a model folder."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

# TensorFlow reads these when it is first imported: its start-up chatter would tear the progress bar apart.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from ml.data.duplicates import report
from ml.data.manifest import add_hashes, list_images, load_squares
from ml.data.split import AUXILIARY, TEST, TRAIN, VALIDATION, load_split, split, usable
from ml.preprocessing import Preprocessing
from ml.serving.folder import KERAS, SPLIT, ModelFolder
from ml.training.config import Config
from ml.training.work import BEST, CONFIG, CURVES, DRAFT, DUPLICATES, HISTORY, MANIFEST, MASKS, STATE

log = logging.getLogger(__name__)


def prepare(config: Config, data: Path, work: Path) -> tuple[pd.DataFrame, dict]:
    """The manifest with its split, and the report on duplicates; read back when `work` holds an interrupted
    run's.

    Raises ValueError if that run had another configuration or other data, or if a label has no image.
    """
    work.mkdir(parents=True, exist_ok=True)
    wanted = json.loads(json.dumps({**config.to_dict(), "data": str(data.resolve())}))
    # What the card tells its readers changes nothing that was computed.
    del wanted["limits"]
    if (work / CONFIG).exists():
        if json.loads((work / CONFIG).read_text(encoding="utf-8")) != wanted:
            raise ValueError(
                f"{work} holds an interrupted run of another configuration or of other data. Give another --work "
                "folder, or remove that one."
            )
        rows = pd.read_csv(work / MANIFEST, keep_default_na=False)
        return rows, json.loads((work / DUPLICATES).read_text(encoding="utf-8"))
    images = list_images(data, config.sources).replace({"label": config.relabel})
    images = images[images["view"] != "lateral"]
    images = images[images["label"].isin(config.classes)]
    missing = set(config.classes) - set(images["label"])
    if missing:
        raise ValueError(f"The data folder holds no image of: {', '.join(sorted(missing))}.")
    everything = add_hashes(with_test_only(images, config, data), data)
    held = everything["source"].isin(config.test_only)
    duplicates = report(everything[~held])
    manifest = usable(everything[~held])
    tested = manifest["group"].isin(everything.loc[held, "group"])
    manifest = manifest.assign(split=split(manifest, seed=config.seed, tested=tested)).reset_index(drop=True)
    # The figures of a model are of its labels alone; that the others were learnt from stays on record.
    beside = ~manifest["label"].isin(config.labels)
    manifest.loc[beside, "split"] = AUXILIARY + manifest.loc[beside, "split"]
    duplicates["images_used"] = len(manifest)
    manifest.to_csv(work / MANIFEST, index=False)
    (work / DUPLICATES).write_text(json.dumps(duplicates), encoding="utf-8")
    (work / CONFIG).write_text(json.dumps(wanted, indent=2), encoding="utf-8")
    return manifest, duplicates


def starting_weights(folder: Path, manifest: pd.DataFrame) -> Path:
    """The weights in the model folder `folder`, to train on from.

    Raises ValueError if it learnt, or stopped or was calibrated, by an image that `manifest` tests on, or by a
    near-twin or patient of one; FileNotFoundError if it is no model folder.
    """
    rows = load_split(folder / SPLIT)
    learnt = rows["split"].isin(
        [AUXILIARY * beside + side for beside in (0, 1) for side in (TRAIN, VALIDATION)]
    )
    known = manifest.loc[manifest["sha256"].isin(rows.loc[learnt, "sha256"]), "group"]
    tests = manifest["split"].isin([TEST, AUXILIARY + TEST])
    leaked = int((tests & manifest["group"].isin(known)).sum())
    if leaked:
        raise ValueError(
            f"{folder.name} learnt from {leaked} images that this configuration tests on. Start from a model with the "
            "same split, or without --start-from."
        )
    return folder / KERAS


def origin_of(folder: Path) -> dict[str, Any]:
    """What a card says of the model folder that its training went on from: name, version, sha256 and how that one
    was trained.
    """
    model = ModelFolder.open(folder)
    names = {key: model.card[key] for key in ("name", "version")}
    return {**names, "sha256": model.sha256, "training": model.card["training"]}


def with_test_only(images: pd.DataFrame, config: Config, data: Path) -> pd.DataFrame:
    """The rows, and those of the configuration's `test_only` sources below them."""
    rows = [images, list_images(data, config.test_only)] if config.test_only else [images]
    return pd.concat(rows, ignore_index=True)


def train(config: Config, *, data: Path, out: Path, work: Path, start_from: Path | None = None) -> Path:
    """Train a model on the images under `data` and write its folder `out`; interrupted, call it again to go
    on.

    `start_from`: a model folder, see `starting_weights`. `work` keeps the checkpoints until the folder is written.
    `out` appears whole at the end or not at all.
    Raises FileExistsError if it is there.
    """
    if out.exists():
        raise FileExistsError(
            f"{out} is there already. A model is never written over: give it another version."
        )
    # Both before the training, so that a run of hours ends with the code that it began with.
    from ml.training.bundle import write_model_folder
    from ml.training.fit import fit

    manifest, duplicates = prepare(config, data, work)
    weights = starting_weights(start_from, manifest) if start_from else None
    origin = origin_of(start_from) if start_from else None
    preprocessing = Preprocessing(size=config.size)
    squares = load_squares(manifest["path"].tolist(), data, preprocessing)
    labels = manifest["label"].map({code: number for number, code in enumerate(config.classes)}).to_numpy()
    strata = (manifest["label"] + "/" + manifest["source"]).to_numpy(dtype=str)
    lungs = None
    if config.needs_lungs:
        from ml.training.lungs import lungs_of

        lungs = lungs_of(squares, data, work)
    network, history, seconds = fit(
        config,
        images=squares,
        labels=labels,
        strata=strata,
        training=np.flatnonzero(manifest["split"].isin([TRAIN, AUXILIARY + TRAIN])),
        validation=np.flatnonzero(manifest["split"].isin([VALIDATION, AUXILIARY + VALIDATION])),
        folder=work,
        lungs=lungs,
        start_from=weights,
    )
    name, version = name_and_version(out)
    folder = write_model_folder(
        config,
        network,
        name=name,
        version=version,
        preprocessing=preprocessing,
        manifest=manifest,
        duplicates=duplicates,
        squares=squares,
        history=history,
        seconds=seconds,
        started_from=origin,
        data=data,
        out=out,
        work=work,
    )
    _clear(work)
    return folder


def _clear(work: Path) -> None:
    """Remove what a finished run left, so that no later run takes it for its own interrupted one."""
    for name in (CONFIG, MANIFEST, DUPLICATES, STATE, HISTORY, BEST, MASKS, CURVES):
        (work / name).unlink(missing_ok=True)
    for checkpoint in work.glob("epoch-*"):
        checkpoint.unlink()
    (work / DRAFT).rmdir()
    with contextlib.suppress(OSError):
        work.rmdir()


def name_and_version(folder: Path) -> tuple[str, str]:
    """`covid3-1.0.0` is version 1.0.0 of covid3; a folder without a version is version 0.0.0 of its name."""
    match = re.fullmatch(r"(.+)-(\d+\.\d+\.\d+)", folder.name)
    return (match[1], match[2]) if match else (folder.name, "0.0.0")
