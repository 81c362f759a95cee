"""Fitting the check for images unlike all that a classifier was trained on."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd
from sklearn.covariance import LedoitWolf

from ml.data.split import AUXILIARY, TEST, TRAIN, VALIDATION
from ml.evaluation.metrics import share
from ml.serving.novelty import Novelty, distances
from ml.training.network import FEATURES

#: At most this share of the validation's images, each a chest X-ray of a kind that was trained on, is refused.
REFUSED = 0.01
#: Training images that are looked at: more change the covariance of some hundred features no further.
MOST = 4000


def fit_novelty(features: np.ndarray, labels: np.ndarray, validation: np.ndarray) -> Novelty:
    """Fit on the training images' features (n, n_features) and class numbers (n,); the threshold on the validation's
    features (m, n_features), of which at most 1 % lie beyond it.

    The covariance is that within the classes, shrunk towards a multiple of the identity (Ledoit and Wolf 2004), so
    that directions in which the training never varied are measured too. Chosen by trial (docs/gate.md).
    """
    numbers = np.unique(labels)
    means = np.stack([features[labels == number].mean(axis=0) for number in numbers])
    within = features - means[np.searchsorted(numbers, labels)]
    values, vectors = np.linalg.eigh(LedoitWolf(assume_centered=True).fit(within).covariance_)
    whitening = (vectors / np.sqrt(np.maximum(values, 1e-12))).astype(np.float32)
    found = distances(validation, means, whitening)
    return Novelty(means, whitening, float(np.quantile(found, 1 - REFUSED, method="higher")))


def novelty_of(
    network: keras.Model, manifest: pd.DataFrame, squares: np.ndarray, *, seed: int
) -> tuple[Novelty, dict[str, Any]]:
    """The novelty check of a trained network, and what the card says of it.

    `manifest` has `label` and `split`, `squares` uint8 (n, size, size) are its images. What training told apart beside
    the labels is familiar too.
    """
    random = np.random.default_rng(seed)
    at = {
        side: np.flatnonzero(manifest["split"].isin([side, AUXILIARY + side]))
        for side in (TRAIN, VALIDATION, TEST)
    }
    if len(at[TRAIN]) > MOST:
        at[TRAIN] = np.sort(random.choice(at[TRAIN], MOST, replace=False))
    found = {side: features_of(network, squares[rows]) for side, rows in at.items()}
    labels = manifest["label"].to_numpy(dtype=str)[at[TRAIN]]
    novelty = fit_novelty(found[TRAIN], labels, found[VALIDATION])
    refused = {
        side: share(sum(novelty(row) > 1 for row in found[side]), len(found[side]))
        for side in (VALIDATION, TEST)
    }
    return novelty, {
        "method": "Mahalanobis distance of the features to the nearest class mean, one covariance (Lee et al. 2018)",
        "fitted_on": f"{len(at[TRAIN])} training images",
        "threshold": f"validation: at most {REFUSED:.0%} refused",
        "refused": refused,
    }


def features_of(network: keras.Model, squares: np.ndarray, batch: int = 64) -> np.ndarray:
    """The features (n, n_features) of squares (n, size, size), uint8."""
    parts = [
        np.asarray(
            network(squares[start : start + batch, ..., np.newaxis].astype(np.float32) / 255, training=False)[
                FEATURES
            ]
        )
        for start in range(0, len(squares), batch)
    ]
    return np.concatenate(parts)
