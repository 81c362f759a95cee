"""Twins: images of one patient at one moment, copied, re-encoded or slightly changed, within and between
sets.
"""

from __future__ import annotations

import itertools
from typing import Any

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ml.data.importers import UNLABELLED

HASH_SIDE = 16
# Of 256 bits. Measured over 16,876 images: copies, re-encoded or not, differ in 0 to 10 bits; from about 12
# bits the count of pairs rises again, of images that merely resemble each other and, near 22, of chance. So a
# split keeps together up to NEAR, to be on the safe side, but only what lies within COPY is called the same
# image.
NEAR = 22
COPY = 10


def difference_hash(image: Image.Image) -> str:
    """256-bit difference hash as 64 hexadecimal digits (Krawetz 2013: is each place brighter than its left
    neighbour).
    """
    return str(imagehash.dhash(image, hash_size=HASH_SIDE))


def near_pairs(hashes: list[str], limit: int = NEAR) -> tuple[np.ndarray, np.ndarray]:
    """All pairs i < j whose hashes differ in at most `limit` bits, as two index arrays."""
    raw = np.array([np.frombuffer(bytes.fromhex(text), dtype=np.uint8) for text in hashes]).reshape(
        len(hashes), -1
    )
    signs = np.unpackbits(raw, axis=1).astype(np.float32) * 2 - 1
    bits = signs.shape[1]
    first, second = [np.empty(0, int)], [np.empty(0, int)]
    for start in range(0, len(signs), 2048):
        # For rows of +1 and -1 the product counts agreements minus disagreements: a Hamming distance by
        # matrix product.
        distance = (bits - signs[start : start + 2048] @ signs[start:].T) / 2
        i, j = np.nonzero(distance <= limit)
        keep = i < j
        first.append(i[keep] + start)
        second.append(j[keep] + start)
    return np.concatenate(first), np.concatenate(second)


def _components(count: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def number_copies(manifest: pd.DataFrame, limit: int = COPY) -> pd.Series:
    """Number the images: files that show the same image share a number. Needs `dhash`; keeps the index."""
    first, second = near_pairs(manifest["dhash"].tolist(), limit)
    return pd.Series(_components(len(manifest), first, second), index=manifest.index, name="image")


def number_groups(manifest: pd.DataFrame, limit: int = NEAR) -> pd.Series:
    """Number the groups that a split must not part: near-twins, and all images of one patient, taken
    transitively.

    Needs `dhash` and `patient`; keeps the index.
    """
    first, second = near_pairs(manifest["dhash"].tolist(), limit)
    positions = pd.Series(np.arange(len(manifest)), index=manifest.index)
    known = positions[manifest["patient"] != ""]
    anchors = known.groupby(manifest["patient"]).transform("first")
    first, second = np.concatenate([first, anchors]), np.concatenate([second, known])
    return pd.Series(_components(len(manifest), first, second), index=manifest.index, name="group")


def report(manifest: pd.DataFrame) -> dict[str, Any]:
    """Count the copies and near-twins within and between sets, and those whose labels contradict one another.

    `manifest` needs `dhash`, `sha256`, `source`, `label` and `group`. An image counts once for each line in
    which it has at least one twin. No label contradicts none. A group of near-twins is counted without what only a patient joins.
    """
    first, second = near_pairs(manifest["dhash"].tolist(), NEAR)
    is_copy = np.zeros(len(first), bool)
    copies = set(zip(*near_pairs(manifest["dhash"].tolist(), COPY), strict=True))
    is_copy[[index for index, pair in enumerate(zip(first, second, strict=True)) if pair in copies]] = True
    source, label = manifest["source"].to_numpy(), manifest["label"].to_numpy()
    labelled = ~manifest["label"].isin(UNLABELLED).to_numpy()
    conflict = (label[first] != label[second]) & labelled[first] & labelled[second]

    def images(pairs: np.ndarray) -> int:
        return len(np.union1d(first[pairs], second[pairs]))

    def counts(pairs: np.ndarray) -> dict[str, int]:
        return {"near_twin_images": images(pairs), "copied_images": images(pairs & is_copy)}

    names = sorted(set(source))
    sizes = manifest["group"].value_counts()
    return {
        "method": f"difference hash of {HASH_SIDE * HASH_SIDE} bits; near-twins differ in at most {NEAR}, "
        f"copies in at most {COPY}",
        "images": len(manifest),
        "groups": int(manifest["group"].nunique()),
        "largest_group": int(sizes.max()),
        "files_with_an_identical_copy": int(manifest["sha256"].duplicated(keep=False).sum()),
        "within": {name: counts((source[first] == name) & (source[second] == name)) for name in names},
        "between": {
            f"{one} and {other}": counts(
                ((source[first] == one) & (source[second] == other))
                | ((source[first] == other) & (source[second] == one))
            )
            for one, other in itertools.combinations(names, 2)
        },
        "conflicting_labels": counts(conflict),
        "near_twin_groups": _group_counts(manifest, first, second),
    }


def _group_counts(manifest: pd.DataFrame, first: np.ndarray, second: np.ndarray) -> dict[str, int]:
    """Groups of two and more near-twins: all of them, those inside one set, over several, and with labels that
    contradict one another.
    """
    label = manifest["label"].mask(manifest["label"].isin(UNLABELLED))
    rows = pd.DataFrame({"source": manifest["source"], "label": label}).assign(
        twins=_components(len(manifest), first, second)
    )
    groups = rows.groupby("twins").agg(
        images=("source", "size"), sources=("source", "nunique"), labels=("label", "nunique")
    )
    groups = groups[groups["images"] > 1]
    return {
        "groups": len(groups),
        "within_one_set": int((groups["sources"] == 1).sum()),
        "between_sets": int((groups["sources"] > 1).sum()),
        "conflicting_labels": int((groups["labels"] > 1).sum()),
    }
