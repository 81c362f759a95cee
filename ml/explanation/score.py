"""Every method's map against the outlines of radiologists, beside controls that looked at nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from tqdm import tqdm

from ml.evaluation.metrics import share
from ml.explanation import controls
from ml.explanation.cases import Cases, read_cases
from ml.explanation.maps import SIDE, explain
from ml.explanation.methods import METHODS, Explained
from ml.explanation.pointing import choose, chosen_on_the_other_half, grown, mass_inside, mean, pointing
from ml.serving.heatmap import ShownMap
from ml.serving.model import ServedModel

LABEL = "covid19"
SEEDS = (1, 2, 3, 4, 5)
# As Zhang et al. 2018 allowed, in pixels of 224; more lenient here, since their images were larger.
TOLERANCE = 15
# Neighbouring pixels of an enlarged map repeat one another; and so many of the cases show whether a map moves.
THIN = 8
SANITY_CASES = 12


def score_maps(
    model: ServedModel,
    folder: Path,
    data: Path,
    *,
    methods: Sequence[str] = tuple(METHODS),
    seeds: Sequence[int] = SEEDS,
) -> dict[str, Any]:
    """How well the maps of COVID-19 meet the lesions and the lungs that radiologists outlined.

    `model`: the served one of `folder`; `methods`: of `ml.explanation.methods.METHODS`, beside every way to show what
    the forward pass gives (`ShownMap`). `served` is the way that the model's card names, `best` the one that scores
    best. Nothing is tuned on these cases; `choice` says what choosing the best is worth on cases that did not choose. Raises
    ValueError for a model without the class or an unknown method, FileNotFoundError without the outlines, and
    DataDiffersError where an image of the model's training is missing.
    """
    unknown = set(methods) - set(METHODS)
    if unknown:
        raise ValueError(f"There is no method {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}.")
    if LABEL not in model.labels:
        raise ValueError(f"{model.name} has no class {LABEL}, so it has no map of what the outlines show.")
    label = model.labels.index(LABEL)
    cases = read_cases(data, folder)
    outputs = [model.predict(pixels) for pixels in cases.pixels]
    images = np.concatenate([model.preprocessing(pixels) for pixels in cases.pixels])
    called = np.array([output.label == LABEL for output in outputs])

    explained = Explained.open(folder)
    found = _forward_maps(model.labels, np.stack([output.maps for output in outputs]))
    for method in tqdm([name for name in methods if name not in found], desc="explaining", unit="method"):
        found[method] = explain(explained, images, label, method)
    subsets = {
        "all": np.ones(len(cases), bool),
        f"called {LABEL}": called,
        f"labelled {LABEL}": np.array(cases.findings) == LABEL,
        "not seen in training": ~cases.seen,
    }
    hits = {name: pointing(maps, cases.lesions) for name, maps in found.items()}
    inside = {name: mass_inside(maps, cases.lesions) for name, maps in found.items()}
    forward = {name: hits[name] for name in ShownMap.kinds(model.labels)}
    best = choose(forward, inside, np.ones(len(cases), bool))
    fixed = pointing(controls.others_lesions(cases), cases.lesions)

    def for_each_subset(figures: Callable[[np.ndarray], dict[str, Any]]) -> dict[str, Any]:
        return {name: figures(rows) for name, rows in subsets.items()}

    return {
        "label": LABEL,
        "served": model.shown_map.kind,
        "best": best,
        "cases": {
            "images": len(cases),
            "groups": len(set(cases.groups)),
            f"called {LABEL}": int(called.sum()),
            "seen_in_training": [name for name, seen in zip(cases.names, cases.seen, strict=True) if seen],
            "lung_outlines_in_training": _learnt_from_lungs(model.card),
        },
        "maps": {
            name: for_each_subset(partial(_figures, maps, cases, fixed=fixed)) for name, maps in found.items()
        },
        "controls": {name: for_each_subset(figures) for name, figures in _controls(cases).items()}
        | {"random weights": _random_weights(model, best, explained, images, cases, seeds)},
        "choice": {
            "of_all": chosen_on_the_other_half(hits, inside, cases.groups),
            "of_the_forward_pass": chosen_on_the_other_half(forward, inside, cases.groups),
        },
        "sanity": _sanity(model, explained, images, found),
        "per_case": [
            {
                "name": cases.names[n],
                "finding": cases.findings[n],
                "group": int(cases.groups[n]),
                "seen_in_training": bool(cases.seen[n]),
                "called": outputs[n].label,
                "score": round(outputs[n].probabilities[LABEL], 4),
                "lesions_share_of_image": round(float(cases.lesions[n].mean()), 4),
                "hit": [name for name in found if hits[name][n]],
            }
            for n in range(len(cases))
        ],
    }


def _learnt_from_lungs(card: dict[str, Any]) -> bool:
    """Whether training asked a network that had learnt from the outlines of these lungs where lungs lie. The share
    of a map inside the lungs is then in part what it was trained for.
    """
    configuration = card.get("training", {}).get("configuration", {})
    return bool(
        configuration.get("augmentation", {}).get("other_surroundings")
        or configuration.get("schedule", {}).get("outside_lungs")
    )


def _forward_maps(labels: list[str], maps: np.ndarray) -> dict[str, np.ndarray]:
    """Each way to show what the forward pass gave: maps (n, n_classes, h, w) to (n, 224, 224) each."""
    return {
        kind: np.stack([ShownMap(kind, labels)(one, LABEL, (SIDE, SIDE)) for one in maps])
        for kind in ShownMap.kinds(labels)
    }


def _controls(cases: Cases) -> dict[str, Callable[[np.ndarray], dict[str, Any]]]:
    return (
        {name: partial(_figures, make(cases), cases) for name, make in controls.MAPS.items()}
        | {name: partial(_pointing, make(cases), cases) for name, make in controls.POINTS.items()}
        | {"any place": partial(_chance, cases)}
    )


def _chance(cases: Cases, rows: np.ndarray) -> dict[str, Any]:
    """What a place drawn evenly from the image would reach: the outlines' share of the image."""
    lesions = mean(cases.lesions[rows].mean(axis=(1, 2)), cases.groups[rows])
    lungs = mean(cases.lungs[rows].mean(axis=(1, 2)), cases.groups[rows])
    return {"pointing": lesions, "mass_in_lesions": lesions, "mass_in_lungs": lungs}


def _pointing(maps: np.ndarray, cases: Cases, rows: np.ndarray) -> dict[str, Any]:
    near = grown(cases.lesions[rows], TOLERANCE)
    hit = pointing(maps[rows], cases.lesions[rows])
    close = pointing(maps[rows], near)
    return {
        "pointing": share(int(hit.sum()), int(rows.sum())),
        f"pointing_within_{TOLERANCE}_pixels": share(int(close.sum()), int(rows.sum())),
    }


def _figures(
    maps: np.ndarray, cases: Cases, rows: np.ndarray, fixed: np.ndarray | None = None
) -> dict[str, Any]:
    groups = cases.groups[rows]
    figures = _pointing(maps, cases, rows) | {
        "mass_in_lesions": mean(mass_inside(maps[rows], cases.lesions[rows]), groups),
        "mass_in_lungs": mean(mass_inside(maps[rows], cases.lungs[rows]), groups),
        "empty_maps": int((maps[rows].max(axis=(1, 2), initial=0) == 0).sum()),
    }
    if fixed is not None:
        gain = pointing(maps, cases.lesions)[rows].astype(float) - fixed[rows]
        figures["pointing_above_best_fixed_place"] = mean(gain, groups)
    return figures


def _random_weights(
    model: ServedModel,
    kind: str,
    explained: Explained,
    images: np.ndarray,
    cases: Cases,
    seeds: Sequence[int],
) -> dict[str, Any]:
    """The maps of one kind of the same network with random weights, once for each seed."""
    every = []
    for seed in tqdm(seeds, desc="random weights", unit="seed"):
        other = Explained(controls.randomised(explained.network, seed))
        shown = _forward_maps(model.labels, np.moveaxis(other.maps(images), -1, 1))
        every.append(shown[kind])

    def over_seeds(values: list[float]) -> dict[str, Any]:
        return {"value": round(float(np.mean(values)), 4), "by_seed": [round(value, 4) for value in values]}

    return {
        "all": {
            "pointing": over_seeds([float(pointing(maps, cases.lesions).mean()) for maps in every]),
            "mass_in_lesions": over_seeds([float(mass_inside(maps, cases.lesions).mean()) for maps in every]),
            "mass_in_lungs": over_seeds([float(mass_inside(maps, cases.lungs).mean()) for maps in every]),
        }
    }


def _sanity(
    model: ServedModel, explained: Explained, images: np.ndarray, found: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Does a map depend on what the network learnt (Adebayo et al. 2018, "Sanity checks for saliency maps")? The
    rank correlation of each kind of map with that after the last layer's weights, or all, are drawn anew: the mean over
    every few cases.
    """
    some = slice(None, None, max(1, len(images) // SANITY_CASES))
    label = model.labels.index(LABEL)
    result: dict[str, Any] = {name: {} for name in found}
    for part, only in (("last layer", "evidence"), ("all layers", None)):
        other = Explained(controls.randomised(explained.network, SEEDS[0], only))
        changed = _forward_maps(model.labels, np.moveaxis(other.maps(images[some]), -1, 1))
        for name, maps in tqdm(found.items(), desc=f"sanity, {part}", unit="map"):
            again = changed[name] if name in changed else explain(other, images[some], label, name)
            ranks = [
                spearmanr(one[::THIN, ::THIN], two[::THIN, ::THIN], axis=None).statistic
                for one, two in zip(maps[some], again, strict=True)
                if one.any() and two.any()
            ]
            result[name][part] = round(float(np.mean(ranks)), 4) if ranks else None
    return result
