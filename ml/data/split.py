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


def usable(manifest: pd.DataFrame) -> pd.DataFrame:
    """Rows fit for training and testing: one file of each image, none of an image whose copies bear different
    labels.

    Of an image that is in two sets the copy of the set listed first stays: counted twice it would weigh twice
    in its class, and make the test's intervals look narrower than they are.
    """
    one_label = manifest.groupby("image")["label"].transform("nunique") == 1
    return manifest[one_label & ~manifest["image"].duplicated()]


def split(manifest: pd.DataFrame, *, seed: int, test_folds: int = 5, validation_folds: int = 8) -> pd.Series:
    """`train`, `validation` or `test` for each row: one fold of `test_folds` is the test, one of the rest
    validates.
    """
    strata = manifest["label"] + "/" + manifest["source"]
    result = pd.Series(TRAIN, index=manifest.index, name="split")
    result[_one_fold(strata, manifest["group"], test_folds, seed)] = TEST
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
    """Write path, label, source, sha256 and split of each image (gzip; the same rows give the same bytes)."""
    text = manifest[["path", "source", "label", "group", "split", "sha256"]].to_csv(index=False)
    # No time stamp and no file name inside.
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def load_split(path: Path) -> pd.DataFrame:
    """Read what `save_split` wrote."""
    return pd.read_csv(path, dtype={"path": str, "label": str, "source": str, "split": str, "sha256": str})
