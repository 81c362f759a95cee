"""What a gate does with hospitals and with kinds of picture that its training never saw."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# TensorFlow reads this when it is first imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from ml.data.split import TEST, TRAIN, VALIDATION
from ml.evaluation.metrics import share
from ml.gate.fit import STEPS, answers, fit
from ml.gate.kinds import CLASSES, FRONTAL, KINDS, Material
from ml.gate.pictures import (
    PHANTOM,
    frontal_images,
    labels_of,
    load_chests,
    make_pictures,
    phantoms,
    photographs,
    small,
    training_pictures,
)
from ml.gate.train import PHANTOMS, SEED, least_frontal

#: Each training leaves out one source, with every image that has a twin in it, and these families of kinds.
FOLDS = {
    "radiography_database": ("photograph", "graphics", "surrounded"),
    "chest_xray": ("slices", "noise"),
    "covid_chestxray": ("lateral", "other_part"),
    "darkcovidnet": ("part", "damaged"),
}
OF_EACH_LEFT_OUT = 100


def hold_out_gates(data: Path, *, sources: list[str] | None = None, steps: int = STEPS) -> dict[str, Any]:
    """Train one gate for each of `sources` (all of `FOLDS`) and measure it on what it was not given.

    The chest X-rays measured are those of the source left out; the pictures are of the families left out, made from
    the other sources' test images. Thresholds come from the validation images that were not left out.
    """
    rows = frontal_images(data, seed=SEED)
    chests = load_chests(rows, data)
    result = {}
    for source in sources or FOLDS:
        left = (
            rows["sources"].str.split().map(lambda names, source=source: source in names).to_numpy(dtype=bool)
        )
        side = {name: (rows["split"] == name).to_numpy() & ~left for name in (TRAIN, VALIDATION, TEST)}
        kept = [kind for kind in KINDS.values() if kind.family not in FOLDS[source]]
        others, names = training_pictures(kept, Material(chests[side[TRAIN]], photographs(TRAIN)), seed=SEED)
        strata = {
            name: np.concatenate([rows.loc[side[name], "sources"], [PHANTOM] * PHANTOMS[name]]).astype(str)
            for name in (TRAIN, VALIDATION)
        }
        squares = {
            name: np.concatenate([small(chests[side[name]]), phantoms(name, PHANTOMS[name])])
            for name in (TRAIN, VALIDATION)
        }
        network = fit(squares[TRAIN], strata[TRAIN], others, labels_of(names), steps=steps, seed=SEED)
        threshold = least_frontal(answers(network, squares[VALIDATION])[0], strata[VALIDATION])
        absent = [kind for kind in KINDS.values() if kind.family in FOLDS[source]]
        strangers, kinds = make_pictures(
            absent, Material(chests[side[TEST]], photographs(TEST)), OF_EACH_LEFT_OUT, seed=SEED + 2
        )
        frontal = CLASSES.index(FRONTAL)
        passed = answers(network, strangers)[0][:, frontal] >= threshold
        refused = answers(network, small(chests[left]))[0][:, frontal] < threshold
        result[source] = {
            "least_frontal": threshold,
            "frontal_of_the_source_refused": share(int(refused.sum()), len(refused)),
            "kinds_never_seen_refused": {
                name: share(int((~passed[kinds == name]).sum()), int((kinds == name).sum()))
                for name in dict.fromkeys(kinds.tolist())
            },
        }
    return result
