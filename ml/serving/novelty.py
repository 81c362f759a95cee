"""How far an image lies from all that a classifier was trained on, by the features of its last layer."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

#: The file in a model's folder; a model without it has no such check.
NOVELTY = "novelty.npz"


@dataclass(frozen=True)
class Novelty:
    """How far a feature vector lies from the training images of each class.

    The Mahalanobis distance to the nearest class mean under one covariance (Lee et al. 2018, "A simple unified
    framework for detecting out-of-distribution samples"), divided by the distance that the `threshold` stands for, so
    that an image above 1 is refused. `means`: float32 (n_classes, n_features); `whitening`: float32 (n_features, rank).
    """

    means: np.ndarray
    whitening: np.ndarray
    threshold: float

    def __call__(self, features: np.ndarray) -> float:
        """The novelty of one image's features, float32 (n_features,): 0 and up, above 1 is too far."""
        return float(distances(features[np.newaxis], self.means, self.whitening)[0] / self.threshold)

    def to_bytes(self) -> bytes:
        """The file `NOVELTY`; the same numbers give the same bytes."""
        file = io.BytesIO()
        np.savez(file, means=self.means, whitening=self.whitening, threshold=np.float32(self.threshold))
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Novelty:
        """Read what `to_bytes` wrote. Raises ValueError for anything else."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            try:
                found = cls(arrays["means"], arrays["whitening"], float(arrays["threshold"]))
            except KeyError as error:
                raise ValueError(f"{NOVELTY} lacks {error}.") from error
        if found.means.shape[1] != found.whitening.shape[0] or not found.threshold > 0:
            raise ValueError(f"{NOVELTY} holds arrays that do not fit each other.")
        return found


def distances(features: np.ndarray, means: np.ndarray, whitening: np.ndarray) -> np.ndarray:
    """Mahalanobis distance of each row of features (n, n_features) to the nearest mean."""
    directions = features @ whitening
    centres = means @ whitening
    return np.sqrt(((directions[:, np.newaxis] - centres) ** 2).sum(axis=2).min(axis=1))
