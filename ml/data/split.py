"""The split: whole groups on one side, stratified by class and source."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from ml.data.duplicates import number_groups

TRAIN, VALIDATION, TEST = "train", "validation", "test"
# Images of a source that no training ever sees, measured at the end.
UNSEEN = "unseen"
COLUMNS = ["path", "source", "label", "view", "age_group", "group", "split", "sha256"]
# Before the side of an image that training tells apart and the model does not name.
AUXILIARY = "auxiliary "


def usable(manifest: pd.DataFrame) -> pd.DataFrame:
    """Rows fit for training and testing: one file of each image, none of an image whose copies bear different
    labels.

    Of an image that is in two sets the copy of the set listed first stays: counted twice it would weigh twice
    in its class, and make the test's intervals look narrower than they are.
    """
    one_label = manifest.groupby("image")["label"].transform("nunique") == 1
    return manifest[one_label & ~manifest["image"].duplicated()]


def split(
    manifest: pd.DataFrame,
    *,
    seed: int,
    test_folds: int = 5,
    validation_folds: int = 8,
    tested: pd.Series | None = None,
) -> pd.Series:
    """`train`, `validation` or `test` for each row: one fold of `test_folds` is the test, one of the rest
    validates. Rows `tested` belong to the test beside that fold; whole groups of them must be named.
    """
    strata = manifest["label"] + "/" + manifest["source"]
    result = pd.Series(TRAIN, index=manifest.index, name="split")
    free = pd.Series(True, index=manifest.index) if tested is None else ~tested
    result[~free] = TEST
    result[_one_fold(strata[free], manifest.loc[free, "group"], test_folds, seed)] = TEST
    rest = result == TRAIN
    result[_one_fold(strata[rest], manifest.loc[rest, "group"], validation_folds, seed + 1)] = VALIDATION
    return result


def unseen_rows(unseen: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """The rows of `unseen` that share no group (near-twin or patient) with the `seen` training and validation
    rows.

    Both are manifests with `dhash` and `patient`. The publisher's unlabelled rows, and views that are not
    frontal, must be gone already.
    """
    both = pd.concat([seen, unseen], ignore_index=True)
    groups = number_groups(both).to_numpy()
    return unseen[~np.isin(groups[len(seen) :], groups[: len(seen)])]


def _one_fold(strata: pd.Series, groups: pd.Series, folds: int, seed: int) -> pd.Index:
    folder = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    _, held_out = next(folder.split(np.zeros(len(strata)), strata, groups))
    return strata.index[held_out]


def save_split(manifest: pd.DataFrame, path: Path) -> None:
    """Write path, source, label, view, age group, duplicate group, side and sha256 of each image (gzip; the same
    rows give the same bytes).
    """
    text = manifest[COLUMNS].to_csv(index=False)
    # No time stamp and no file name inside.
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def load_split(path: Path) -> pd.DataFrame:
    """Read what `save_split` wrote; a column that an earlier version did not write is empty."""
    text = {column: str for column in COLUMNS if column != "group"}
    rows = pd.read_csv(path, dtype=text, keep_default_na=False)
    return rows.assign(**{column: "" for column in COLUMNS if column not in rows})
