"""`python -m ml hold-out`: train without some sources, and measure on them whether the disease was learnt.

A model that was tested on the hospitals it was trained on may know the hospital and not the disease. Here all
images of the named strata, and everything with a near-twin or a patient among them, stay out of training; each
pair of a stratum with the disease and one without it is then one measurement.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.data.importers import UNLABELLED
from ml.data.manifest import add_hashes, list_images, load_squares
from ml.data.split import TEST, TRAIN, VALIDATION, split
from ml.evaluation.metrics import auroc
from ml.preprocessing import Preprocessing
from ml.training.config import Config
from ml.training.train import with_test_only

# What of the square a control leaves to see; a network that still tells the classes apart uses what is no lung.
FRAME = 1 / 8
GREY = 127
CONTROLS = ("none", "borders", "only_lungs", "no_lungs")
# Of strata with fewer images an area says nothing.
FEWEST = 10


def part_strata(images: pd.DataFrame, names: list[str]) -> pd.Series:
    """Which rows belong to the strata `names`, each a source or a `label/source`. Raises ValueError for one
    that has no image.
    """
    strata = images["label"] + "/" + images["source"]
    for name in names:
        if not ((strata == name) | (images["source"] == name)).any():
            raise ValueError(f"The data hold no image of {name}, so it cannot be left out.")
    return strata.isin(names) | images["source"].isin(names)


def prepare(
    config: Config, data: Path, left_out: list[str], *, keep_training: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows to train on, with their split, and the rows left out.

    No row of the first shares a near-twin group or a patient with one of the second: such rows leave training, or
    with `keep_training` the rows left out. Of each image one file is used. Raises ValueError if a label of the
    configuration has no image left to train on.
    """
    sources = list(dict.fromkeys([*config.sources, *(name.rsplit("/", 1)[-1] for name in left_out)]))
    images = list_images(data, sources).replace({"label": config.relabel})
    keep = (images["view"] != "lateral") & ~images["label"].isin(UNLABELLED)
    manifest = add_hashes(with_test_only(images[keep], config, data), data)
    held = manifest["source"].isin(config.test_only)
    manifest = manifest[~held & ~manifest["group"].isin(manifest.loc[held, "group"])].reset_index(drop=True)
    out = part_strata(manifest, left_out)
    unseen, seen = manifest[out], manifest[~out & manifest["source"].isin(config.sources)]
    if keep_training:
        unseen = unseen[~unseen["group"].isin(seen["group"])]
    else:
        seen = seen[~seen["group"].isin(unseen["group"])]
    seen = seen[seen["label"].isin(config.classes) & ~seen["image"].duplicated()].reset_index(drop=True)
    missing = set(config.labels) - set(seen["label"])
    if missing:
        raise ValueError(
            f"Without what is left out there is no image to train on of: {', '.join(sorted(missing))}."
        )
    # A file of an image under two labels cannot be judged.
    clear = unseen.groupby("image")["label"].transform("nunique") == 1
    unseen = unseen[clear & ~unseen["image"].duplicated()].reset_index(drop=True)
    return seen.assign(split=split(seen, seed=config.seed)), unseen


def hide(squares: np.ndarray, control: str, data: Path) -> np.ndarray:
    """The squares (n, size, size), uint8, as a control shows them: `none` whole, `borders` only the outer eighth
    of each side, `only_lungs` the outlined lungs, `no_lungs` all but them.

    The outlines come from a network trained on `covid-segmentation` in `data`, whose images may be among those
    left out: it learns where lungs lie, and no label.
    """
    if control == "none":
        return squares
    if control == "borders":
        hidden = squares.copy()
        edge = round(squares.shape[1] * FRAME)
        hidden[:, edge:-edge, edge:-edge] = GREY
        return hidden
    from ml.training.lungs import fill, outlines, read_cases, train_outliner

    network, _ = train_outliner(*read_cases(data))
    lungs = outlines(network, squares)
    return fill(squares, lungs if control == "only_lungs" else ~lungs, lungs)


def areas(strata: np.ndarray, truth: np.ndarray, score: np.ndarray, positive: str) -> dict[str, Any]:
    """The area under the ROC curve with its 95 % interval for each pair of a stratum with the disease and one
    without.

    `strata`, `truth` (class codes) and `score` (n,) of the images.
    """
    sizes = {name: int((strata == name).sum()) for name in sorted(set(strata))}
    large = [name for name, size in sizes.items() if size >= FEWEST]
    with_it = [name for name in large if (truth[strata == name] == positive).all()]
    result = {}
    for one in with_it:
        for other in large:
            if other not in with_it:
                rows = (strata == one) | (strata == other)
                result[f"{one} against {other}"] = {
                    **auroc(strata[rows] == one, score[rows]),
                    "images": [sizes[one], sizes[other]],
                }
    return result


def hold_out(
    config: Config,
    *,
    data: Path,
    left_out: list[str],
    positive: str,
    control: str,
    work: Path,
    keep_training: bool = False,
) -> dict[str, Any]:
    """Train `config` without `left_out` and measure how it tells `positive` from the rest, inside and on what was
    left out.

    The score is the probability of `positive` out of that and `normal` where the configuration has both, since a
    third class may take images of a new source away from both. `inside` is the test side of the training sources.
    Interrupted, the same call goes on from `work`. Raises ValueError for labels or strata that are not there.
    """
    if positive not in config.labels:
        raise ValueError(f"The configuration has no label {positive}.")
    seen, unseen = prepare(config, data, left_out, keep_training=keep_training)
    asked = {"left_out": left_out, "keep_training": keep_training, "control": control}
    protocol = {**config.to_dict(), **asked, "images": len(seen)}
    del protocol["limits"]
    protocol = json.loads(json.dumps(protocol))
    work.mkdir(parents=True, exist_ok=True)
    stored = work / "protocol.json"
    if stored.exists() and json.loads(stored.read_text(encoding="utf-8")) != protocol:
        raise ValueError(
            f"{work} holds a run of another protocol. Give another --work folder, or remove that one."
        )
    stored.write_text(json.dumps(protocol), encoding="utf-8")
    from ml.training.fit import fit
    from ml.training.network import SCORES

    rows = pd.concat([seen, unseen.assign(split="left out")], ignore_index=True)
    squares = load_squares(rows["path"].tolist(), data, Preprocessing(size=config.size))
    codes = list(config.labels)
    learnt = rows["split"] != "left out"
    lungs = None
    if config.needs_lungs:
        from ml.training.lungs import lungs_of

        lungs = lungs_of(squares[learnt], data, work)
    squares = hide(squares, control, data)
    strata = (rows["label"] + "/" + rows["source"]).to_numpy(dtype=str)
    network, history, seconds = fit(
        config,
        images=squares[learnt],
        labels=rows.loc[learnt, "label"].map({code: n for n, code in enumerate(config.classes)}).to_numpy(),
        strata=strata[learnt],
        training=np.flatnonzero(rows.loc[learnt, "split"] == TRAIN),
        validation=np.flatnonzero(rows.loc[learnt, "split"] == VALIDATION),
        folder=work,
        lungs=lungs,
    )
    measured = (rows["split"] == TEST) | ~learnt
    left = ~learnt[measured].to_numpy()
    shown = squares[measured]
    probabilities = np.concatenate([
        network(shown[start : start + 64, ..., np.newaxis].astype(np.float32) / 255, training=False)[SCORES]
        for start in range(0, len(shown), 64)
    ])  # fmt: skip
    score = probabilities[:, codes.index(positive)]
    if "normal" in codes and positive != "normal":
        score = score / np.maximum(score + probabilities[:, codes.index("normal")], np.finfo(np.float32).tiny)
    truth, stratum = rows.loc[measured, "label"].to_numpy(dtype=str), strata[measured]
    figures = {
        name: areas(stratum[part], truth[part], score[part], positive)
        for name, part in (("inside", ~left), ("left_out", left))
    }
    return {
        "protocol": protocol,
        "trained_on": {name: int(count) for name, count in pd.Series(strata[learnt]).value_counts().items()},
        "epochs_run": len(history),
        "minutes": round(seconds / 60, 1),
        "auroc": figures,
    }
