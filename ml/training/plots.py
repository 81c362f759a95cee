"""The pictures of how a model learnt and what its data look like."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from ml.evaluation.plots import save


def training_curves(history: pd.DataFrame, path: Path) -> None:
    """Accuracy and loss of training (augmented, resampled images) and validation (plain ones), by epoch."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    for axis, quantity in zip(axes, ("accuracy", "loss"), strict=True):
        axis.plot(history["epoch"], history[quantity], marker=".", label="training (augmented, resampled)")
        axis.plot(history["epoch"], history[f"val_{quantity}"], marker=".", label="validation")
        axis.set(xlabel="epoch", ylabel=quantity, title=quantity.capitalize())
        axis.grid(alpha=0.3)
        axis.legend()
    save(figure, path)


def class_counts(manifest: pd.DataFrame, names: dict[str, str], path: Path) -> None:
    """Images of each class of `names`, by source and by side of the split."""
    rows = manifest.assign(class_=manifest["label"].map(names)).dropna(subset="class_")
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    for axis, hue in zip(axes, ("source", "split"), strict=True):
        sns.countplot(rows, x="class_", order=list(names.values()), hue=hue, ax=axis)
        axis.set(xlabel="", ylabel="images", title=f"Classes by {hue}")
        for bars in axis.containers:
            axis.bar_label(bars, fontsize=7)
    save(figure, path)


def intensities(manifest: pd.DataFrame, squares: np.ndarray, names: dict[str, str], path: Path) -> None:
    """How grey values are distributed in each class and in each source: a difference by source is a shortcut
    on offer.

    `squares`: uint8 (n, size, size) in the rows' order; rows of a label without a name are left out. Each
    line is the mean of its images' histograms.
    """
    histograms = (
        np.stack([np.bincount(image.ravel() // 4, minlength=64) for image in squares]) / squares[0].size
    )
    greys = (np.arange(64) + 0.5) / 64
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    by_class = manifest["label"].map(names)
    for axis, title, key in zip(
        axes, ("class", "class and source"), (by_class, by_class + ", " + manifest["source"]), strict=True
    ):
        for name in sorted(key.dropna().unique()):
            axis.plot(greys, histograms[(key == name).to_numpy()].mean(axis=0), label=name)
        axis.set(
            xlabel="grey value (0 black, 1 white)",
            ylabel="share of pixels",
            title=f"Pixel intensity by {title}",
        )
        axis.set_ylim(0, float(np.percentile(histograms.mean(axis=0), 97)) * 3)
        axis.legend(fontsize=7)
    save(figure, path)
