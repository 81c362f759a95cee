"""`python -m ml cross-validate`: train and test on folds of one published set, as its publishers did.

DarkCovidNet (Ozturk et al. 2020, "Automated detection of COVID-19 cases using deep neural networks with X-ray images")
was tested in five folds of its own images, drawn image by image: 87.02 % on three classes. That is the protocol
`published`. Near-twins and images of one patient then stand on both sides of a fold; in `grouped` they stay together.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from ml.data.duplicates import COPY, NEAR, near_pairs
from ml.data.manifest import add_hashes, list_images, load_squares
from ml.evaluation.metrics import measure, share
from ml.preprocessing import Preprocessing
from ml.training.config import Config, Network
from ml.training.work import BEST, STATE

PUBLISHED, GROUPED = "published", "grouped"
PROTOCOLS = (PUBLISHED, GROUPED)
PROTOCOL = "protocol.json"


def number_folds(manifest: pd.DataFrame, protocol: str, *, folds: int, seed: int) -> np.ndarray:
    """The fold, 0..folds - 1, in which each row is tested; classes have the same share in every fold.

    `published`: image by image, as drawn by DarkCovidNet's publishers; `grouped`: whole groups of near-twins and
    patients. Raises ValueError if a class has fewer images (or groups) than there are folds.
    """
    labels = units = manifest["label"].to_numpy(dtype=str)
    groups = None
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    if protocol == GROUPED:
        splitter, groups = (
            StratifiedGroupKFold(folds, shuffle=True, random_state=seed),
            manifest["group"].to_numpy(),
        )
        units = manifest.drop_duplicates(["label", "group"])["label"].to_numpy(dtype=str)
    names, counts = np.unique(units, return_counts=True)
    for name, count in zip(names, counts, strict=True):
        if count < folds:
            raise ValueError(
                f"{name} has {count} images that are not of one group: too few for {folds} folds."
            )
    result = np.empty(len(manifest), int)
    for number, (_, tested) in enumerate(splitter.split(np.zeros(len(labels)), labels, groups)):
        result[tested] = number
    return result


def seen_in_training(manifest: pd.DataFrame, folds: np.ndarray) -> dict[str, np.ndarray]:
    """Which rows have, in another fold and so in their training, a `copy` or a `near_twin` (see
    `ml.data.duplicates`), or any image of their `group`: bool (n,) each.
    """

    def partnered(limit: int) -> np.ndarray:
        first, second = near_pairs(manifest["dhash"].tolist(), limit)
        apart = folds[first] != folds[second]
        return np.isin(np.arange(len(manifest)), np.concatenate([first[apart], second[apart]]))

    of_group = pd.Series(folds).groupby(manifest["group"].to_numpy()).transform("nunique") > 1
    return {"copy": partnered(COPY), "near_twin": partnered(NEAR), "group": of_group.to_numpy()}


def read_start(start_from: Path, source: str) -> tuple[Path, dict[str, Any]]:
    """The weights of a `hold-out` run (its working folder, or the weights' file in it) and its protocol.

    Raises ValueError unless the protocol says that all of `source`, with every near-twin and patient of it, was
    kept out of the training; FileNotFoundError if there are no weights.
    """
    weights = start_from / BEST if start_from.is_dir() else start_from
    stored = weights.parent / PROTOCOL
    if not weights.is_file():
        raise FileNotFoundError(f"There are no weights {weights}.")
    if not stored.is_file():
        raise ValueError(
            f"{weights.parent} holds no {PROTOCOL}, so nothing shows that {source} was left out of that training. "
            f"Train with `hold-out --leave-out {source}` and name its --work folder."
        )
    protocol = json.loads(stored.read_text(encoding="utf-8"))
    if source not in protocol.get("left_out", []):
        raise ValueError(f"The weights are of a training that did not leave {source} out.")
    if protocol.get("keep_training"):
        raise ValueError(
            f"The weights are of a training that kept the near-twins and patients of {source}. Train without "
            "--keep-training."
        )
    return weights, protocol


def cross_validate(
    config: Config,
    *,
    data: Path,
    source: str,
    folds: int,
    work: Path,
    protocols: tuple[str, ...] = PROTOCOLS,
    start_from: Path | None = None,
) -> dict[str, Any]:
    """Train `config` on all folds of `source` but one and test on that one, for each fold and each of `protocols`.

    Every file of the set counts, copies too, as published. The schedule is fixed: the weights tested are those
    after the last epoch, and no image of the tested fold is looked at before. `start_from` (see `read_start`)
    gives the first weights and, with them, the network's shape and the size of its input. Interrupted, the same call goes on
    from `work`. Raises ValueError for labels that are not there, and for a `work` folder of another run.
    """
    images = list_images(data, [source])
    images = images[images["label"].isin(config.labels)].reset_index(drop=True)
    missing = set(config.labels) - set(images["label"])
    if missing:
        raise ValueError(f"{source} holds no image of: {', '.join(sorted(missing))}.")
    weights, began = read_start(start_from, source) if start_from else (None, None)
    if began:
        shape = {
            **began["network"],
            "dropout": config.network.dropout,
            "style_mixing": config.network.style_mixing,
        }
        config = replace(config, network=Network(**shape), size=began["size"])
    manifest = add_hashes(images, data)
    asked = _asked(config, manifest, source=source, folds=folds, began=began)
    _claim(work, asked)
    squares = load_squares(manifest["path"].tolist(), data, Preprocessing(size=config.size))
    result = {"protocol": asked, "images": manifest["label"].value_counts().to_dict()}
    for protocol in protocols:
        numbers = number_folds(manifest, protocol, folds=folds, seed=config.seed)
        probabilities = np.empty((len(manifest), len(config.labels)))
        seconds = 0.0
        for number in range(folds):
            fold = _fold(config, manifest, squares, numbers == number, number, work / protocol, weights)
            probabilities[numbers == number] = fold["probabilities"]
            seconds += fold["seconds"]
        result[protocol] = {
            **summarise(manifest, numbers, probabilities, config),
            "minutes": round(seconds / 60, 1),
        }
    return result


def summarise(
    manifest: pd.DataFrame, folds: np.ndarray, probabilities: np.ndarray, config: Config
) -> dict[str, Any]:
    """The figures of one protocol: accuracy of each fold, their mean and deviation, and all folds pooled.

    `folds` (n,) and `probabilities` (n, n_labels) of the rows. The pooled interval takes images as independent; where
    groups were parted, `seen_in_training` counts the images that training had seen, and the accuracy on the others.
    """
    truth = manifest["label"].to_numpy(dtype=str)
    codes = list(config.labels)
    right = np.array(codes)[probabilities.argmax(axis=1)] == truth
    by_fold = [right[folds == number] for number in np.unique(folds)]
    accuracies = [float(fold.mean()) for fold in by_fold]
    seen = seen_in_training(manifest, folds)
    pooled = measure(truth, probabilities, codes)
    others = right[~seen["group"]]
    return {
        "accuracy_by_fold": [share(int(fold.sum()), len(fold)) for fold in by_fold],
        "mean_accuracy": round(float(np.mean(accuracies)), 4),
        "standard_deviation": round(float(np.std(accuracies, ddof=1)), 4),
        "pooled": pooled,
        "seen_in_training": {
            **{f"images_with_a_{name}_in_another_fold": int(rows.sum()) for name, rows in seen.items()},
            "accuracy_on_the_others": share(int(others.sum()), len(others)),
        },
    }


def _asked(
    config: Config, manifest: pd.DataFrame, *, source: str, folds: int, began: dict[str, Any] | None
) -> dict[str, Any]:
    """What makes a run this run: a continuation must be asked for with the same."""
    settings = {key: value for key, value in asdict(config).items() if key != "limits"}
    start = None
    if began:
        names = ("labels", "auxiliary", "sources", "test_only", "left_out", "seed", "images")
        start = {name: began.get(name) for name in names}
    asked = {**settings, "source": source, "folds": folds, "images": len(manifest), "start_from": start}
    return json.loads(json.dumps(asked))


def _claim(work: Path, asked: dict[str, Any]) -> None:
    work.mkdir(parents=True, exist_ok=True)
    stored = work / PROTOCOL
    if stored.exists() and json.loads(stored.read_text(encoding="utf-8")) != asked:
        raise ValueError(
            f"{work} holds a run of another protocol. Give another --work folder, or remove that one."
        )
    stored.write_text(json.dumps(asked), encoding="utf-8")


def _fold(
    config: Config,
    manifest: pd.DataFrame,
    squares: np.ndarray,
    tested: np.ndarray,
    number: int,
    work: Path,
    weights: Path | None,
) -> dict[str, Any]:
    """One fold's probabilities and seconds; read back where an earlier call finished it."""
    stored = work / f"fold-{number + 1}.json"
    if stored.exists():
        return json.loads(stored.read_text(encoding="utf-8"))
    import keras

    from ml.training.fit import finished, fit
    from ml.training.network import SCORES

    keras.backend.clear_session()
    labels = manifest["label"].map({code: n for n, code in enumerate(config.labels)}).to_numpy()
    training = np.flatnonzero(~tested)
    folder = work / f"fold-{number + 1}"
    # Nothing is chosen by a validation: its curve is drawn over a few images of the training itself.
    schedule = replace(config.schedule, patience=config.schedule.epochs)
    _, _, seconds = fit(
        replace(config, schedule=schedule, seed=config.seed + number),
        images=squares,
        labels=labels,
        strata=manifest["label"].to_numpy(dtype=str),
        training=training,
        validation=training[:: max(1, len(training) // 32)],
        folder=folder,
        start_from=weights,
    )
    last = json.loads((folder / STATE).read_text(encoding="utf-8"))["checkpoint"]
    network = finished(config, folder / last)
    shown = squares[tested]
    probabilities = np.concatenate([
        network(shown[start : start + 64, ..., np.newaxis].astype(np.float32) / 255, training=False)[SCORES]
        for start in range(0, len(shown), 64)
    ])  # fmt: skip
    result = {"probabilities": probabilities.astype(float).tolist(), "seconds": seconds}
    temporary = stored.with_name(f"tmp-{stored.name}")
    temporary.write_text(json.dumps(result), encoding="utf-8")
    temporary.replace(stored)
    shutil.rmtree(folder)
    return result
