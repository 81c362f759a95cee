"""The seeds of bias: how much a model's answers come from where an image was made, and not from the lungs.

Measured on the model's stored test split, through the export that is served. `docs/bias.md` says how to read each
figure.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from ml.data.importers import SOURCES
from ml.data.manifest import list_images
from ml.evaluation.evaluate import read_images
from ml.evaluation.markers import DRAWINGS, cover, draw, edges, letter_spots, mirrored
from ml.evaluation.metrics import auroc, by_group, share
from ml.evaluation.predict_source import predict_source, simple_statistics
from ml.serving.heatmap import heat_map
from ml.serving.model import ServedModel

POSITIVE, NEGATIVE = "covid19", "normal"
# Images of each label and source that the controls are tried on.
PER_STRATUM = 120
# Of strata with fewer images an area says nothing.
FEWEST = 10
SEED = 1
BATCH = 32
# A third of the usual training of the outliner, in a third of the time.
OUTLINER_STEPS = 350
ATTRIBUTES = ("source", "age_group", "view", "sex")
NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Answers:
    """What the export says about n images: `scores` (n, n_classes), `maps` (n, h, w, n_classes), `features`
    (n, n_features), and `called` (n,), the code of the highest score.
    """

    scores: np.ndarray
    maps: np.ndarray
    features: np.ndarray
    called: np.ndarray


def ask(model: ServedModel, squares: np.ndarray) -> Answers:
    """The export's answers to squares (n, size, size): uint8, or float32 in 0..1. No gate stands before it: what the
    controls show is no X-ray any more.
    """
    parts = []
    for start in range(0, len(squares), BATCH):
        batch = squares[start : start + BATCH, ..., np.newaxis]
        parts.append(model.run(batch.astype(np.float32) / 255 if batch.dtype == np.uint8 else batch))
    scores, maps, features = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Answers(scores, maps, features, np.array(model.labels)[scores.argmax(axis=1)])


def measure_bias(model: ServedModel, rows: pd.DataFrame, data: Path) -> dict[str, Any]:
    """All figures of this module for `rows` of the model's stored split, usually those of its test.

    Deterministic. Needs `covid-segmentation` in `data`, whose 60 outlines teach a small network where lungs lie.
    Raises DataDiffersError for an image that is missing or is not the file that the split names, FileNotFoundError
    without the outlines.
    """
    rows = with_attributes(rows.reset_index(drop=True), data)
    truth = rows["label"].to_numpy(dtype=str)
    strata = (rows["label"] + "/" + rows["source"]).to_numpy(dtype=str)
    chosen = subsample(strata)
    kept = np.zeros(len(rows), bool)
    kept[chosen] = True
    answers, squares, statistics = _whole(model, rows, kept, data)
    score = positive_score(answers.scores, model.labels)
    figures: dict[str, Any] = {
        "images": len(rows),
        "groups": groups(rows, truth, answers.called),
        "auroc_by_source": areas(strata, truth, score),
        "source_predicted": source_predicted(
            truth, rows["source"].to_numpy(dtype=str), rows["group"].to_numpy(), answers.features, statistics
        ),
    }
    from ml.training.lungs import fill, outlines, read_cases, train_outliner

    network, overlaps = train_outliner(*read_cases(data), steps=OUTLINER_STEPS)
    lungs = outlines(network, squares)
    truth, strata = truth[kept], strata[kept]
    whole = ask(model, squares)

    def tried(changed: np.ndarray) -> dict[str, Any]:
        return compare(whole, ask(model, changed), truth, strata, model.labels)

    spots, border = letter_spots(squares, lungs), edges(lungs)
    others = mirrored(spots, lungs)
    figures["subsample"] = {
        "images": len(squares),
        "most_per_stratum": PER_STRATUM,
        "seed": SEED,
        "strata": dict(sorted(Counter(strata.tolist()).items())),
    }
    figures["lungs"] = {
        "overlap_on_cases_held_out": round(float(overlaps.mean()), 4),
        "lowest_overlap": round(float(overlaps.min()), 4),
        "share_of_area": round(float(lungs.mean()), 4),
        "images_without": int((~lungs.any(axis=(1, 2))).sum()),
    }
    figures["shown"] = {
        "all": tried(squares),
        "borders": tried(borders_only(squares)),
        "only_lungs": tried(fill(squares, lungs, lungs)),
        "no_lungs": tried(fill(squares, ~lungs, lungs)),
    }
    figures["covered"] = {
        name: {"images": int(mask.any(axis=(1, 2)).sum()), "share_of_area": round(float(mask.mean()), 4)}
        | tried(cover(squares, mask))
        for name, mask in (("edges", border), ("letters", spots), ("letters_mirrored", others))
    }
    figures["drawn"] = {what: tried(draw(squares, what)) for what in DRAWINGS}
    figures["evidence_inside_lungs"] = evidence_inside(whole.maps, lungs, truth, model.labels)
    return figures


def with_attributes(rows: pd.DataFrame, data: Path) -> pd.DataFrame:
    """The rows with `age_group`, `view` and `sex` as their publishers' importers give them; empty where none does."""
    sources = [source for source in dict.fromkeys(rows["source"]) if source in SOURCES]
    columns = ["path", *ATTRIBUTES[1:]]
    known = list_images(data, sources)[columns] if sources else pd.DataFrame(columns=columns)
    bare = rows.drop(columns=[name for name in ATTRIBUTES[1:] if name in rows])
    return bare.merge(known.drop_duplicates("path"), on="path", how="left").fillna(dict.fromkeys(columns, ""))


def subsample(strata: np.ndarray, most: int = PER_STRATUM, seed: int = SEED) -> np.ndarray:
    """Positions of at most `most` rows of each of `strata` (n,), in order; the same for the same rows."""
    random = np.random.default_rng(seed)
    chosen = [random.permutation(np.flatnonzero(strata == name))[:most] for name in sorted(set(strata))]
    return np.sort(np.concatenate(chosen))


def groups(rows: pd.DataFrame, truth: np.ndarray, called: np.ndarray) -> dict[str, Any]:
    """Accuracy, and the sensitivity of each class, for each value of each attribute that `rows` has."""
    return {
        name: by_group(rows[name].replace("", NOT_KNOWN).to_numpy(dtype=str), truth, called)
        for name in ATTRIBUTES
    }


def positive_score(scores: np.ndarray, labels: list[str]) -> np.ndarray:
    """The score (n,) of COVID-19 out of COVID-19 and normal: a third class may take images away from both.

    Raises ValueError for a model that lacks one of the two labels.
    """
    missing = {POSITIVE, NEGATIVE} - set(labels)
    if missing:
        raise ValueError(f"The model has no label {' and no label '.join(sorted(missing))}.")
    positive = scores[:, labels.index(POSITIVE)].astype(np.float64)
    negative = scores[:, labels.index(NEGATIVE)].astype(np.float64)
    return positive / np.maximum(positive + negative, np.finfo(np.float64).tiny)


def areas(strata: np.ndarray, truth: np.ndarray, score: np.ndarray) -> dict[str, Any]:
    """The area under the ROC curve, COVID-19 against normal: all together, and each pair of sources of ten or more."""
    positive, both = truth == POSITIVE, np.isin(truth, [POSITIVE, NEGATIVE])
    result = {
        "all": {
            **auroc(positive[both], score[both]),
            "images": [int(positive.sum()), int((both & ~positive).sum())],
        }
    }
    sizes = Counter(strata[both].tolist())
    large = sorted(name for name, size in sizes.items() if size >= FEWEST)
    for one in (name for name in large if name.split("/")[0] == POSITIVE):
        for other in (name for name in large if name.split("/")[0] == NEGATIVE):
            pair = (strata == one) | (strata == other)
            result[f"{one} against {other}"] = {
                **auroc(strata[pair] == one, score[pair]),
                "images": [sizes[one], sizes[other]],
            }
    return result


def source_predicted(
    truth: np.ndarray, sources: np.ndarray, groups: np.ndarray, features: np.ndarray, statistics: np.ndarray
) -> dict[str, Any]:
    """`predict_source` inside each class that two sources have, from the features (where the network gives them) and
    from simple statistics.
    """
    result = {}
    for code in sorted(set(truth)):
        here = truth == code
        from_statistics = predict_source(statistics[here], sources[here], groups[here])
        if from_statistics:
            result[code] = {
                "features": predict_source(features[here], sources[here], groups[here])
                if features.shape[1]
                else None,
                "simple_statistics": from_statistics,
            }
    return result


def compare(
    whole: Answers, changed: Answers, truth: np.ndarray, strata: np.ndarray, labels: list[str]
) -> dict[str, Any]:
    """What a change of the images did to the answers: accuracy and areas with it, answers that it changed."""
    differs = changed.called != whole.called
    moves = Counter(
        f"{old} to {new}" for old, new in zip(whole.called[differs], changed.called[differs], strict=True)
    )
    right = changed.called == truth
    return {
        "accuracy": share(int(right.sum()), len(right)),
        "balanced_accuracy": round(
            float(np.mean([right[truth == code].mean() for code in sorted(set(truth))])), 4
        ),
        "called": {code: int((changed.called == code).sum()) for code in labels},
        "answers_changed": {
            **share(int(differs.sum()), len(differs)),
            "from_to": dict(sorted(moves.items())),
        },
        "auroc": areas(strata, truth, positive_score(changed.scores, labels)),
    }


def borders_only(squares: np.ndarray) -> np.ndarray:
    """The outer eighth of each side; the rest one grey."""
    from ml.training.hold_out import hide

    return hide(squares, "borders", Path())


def evidence_inside(
    maps: np.ndarray, lungs: np.ndarray, truth: np.ndarray, labels: list[str]
) -> dict[str, Any]:
    """For images of each class the mean share of the positive evidence for COVID-19 that lies inside the lungs.

    `maps` (n, h, w, n_classes), against the mean of all classes (`heat_map`); `lungs` bool (n, size, size). Images whose lungs
    were not found, or that have no positive evidence, are left out. `lungs_share_of_area` is what a map without any
    aim would have.
    """
    size = lungs.shape[1]
    number = labels.index(POSITIVE)
    heat = np.stack([heat_map(np.moveaxis(each, -1, 0), number, (size, size)) for each in maps])
    mass = heat.sum(axis=(1, 2))
    inside = (heat * lungs).sum(axis=(1, 2)) / np.maximum(mass, np.finfo(np.float32).tiny)
    area = lungs.mean(axis=(1, 2))
    result: dict[str, Any] = {}
    for code in sorted(set(truth)):
        here = (truth == code) & (mass > 0) & (area > 0)
        count = int(here.sum())
        if not count:
            result[code] = {"images": 0, "mean": None, "interval_95": None, "lungs_share_of_area": None}
            continue
        mean = float(inside[here].mean())
        reach = 1.96 * float(inside[here].std(ddof=1)) / count**0.5 if count > 1 else 1.0
        result[code] = {
            "images": count,
            "mean": round(mean, 4),
            "interval_95": [round(max(mean - reach, 0.0), 4), round(min(mean + reach, 1.0), 4)],
            "lungs_share_of_area": round(float(area[here].mean()), 4),
        }
    return result


def _whole(
    model: ServedModel, rows: pd.DataFrame, kept: np.ndarray, data: Path
) -> tuple[Answers, np.ndarray, np.ndarray]:
    """The answers to all rows, the squares (uint8) of those `kept`, and all rows' simple statistics."""
    answers, squares, statistics = [], [], []
    images = map(model.preprocessing.square, read_images(rows, data))
    for start in tqdm(range(0, len(rows), BATCH), desc="measuring", unit="batch"):
        batch = np.stack(list(itertools.islice(images, BATCH)))
        answers.append(ask(model, batch))
        levels = np.rint(batch * 255).astype(np.uint8)
        statistics.append(simple_statistics(levels))
        squares.append(levels[kept[start : start + len(levels)]])
    # The maps of all rows would be large, and only those kept are looked at.
    together = Answers(
        scores=np.concatenate([each.scores for each in answers]),
        maps=np.empty(0),
        features=np.concatenate([each.features for each in answers]),
        called=np.concatenate([each.called for each in answers]),
    )
    return together, np.concatenate(squares), np.concatenate(statistics)
