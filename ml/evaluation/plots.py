"""The pictures of how good a model is. Few colours and small files: they lie in the repository beside the model."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from PIL import Image

DPI = 90
COLOURS = 64


def save(figure: plt.Figure, path: Path) -> None:
    """Write the figure as a PNG of few colours and close it."""
    figure.tight_layout()
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=DPI, format="png")
    plt.close(figure)
    with Image.open(drawn) as picture:
        # No library's version in the file: the same figures give the same bytes.
        picture.convert("RGB").quantize(COLOURS).save(path, format="PNG", optimize=True)


def confusion(matrix: list[list[int]], names: list[str], path: Path) -> None:
    """Counts, with the share of each true class as colour."""
    counts = np.array(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axis = plt.subplots(figsize=(5.5, 4.5))
    sns.heatmap(
        shares,
        annot=counts,
        fmt="d",
        cmap="Blues",
        vmin=0,
        vmax=1,
        xticklabels=names,
        yticklabels=names,
        ax=axis,
        cbar_kws={"label": "share of the true class"},
    )
    axis.set(xlabel="called by the model", ylabel="truth", title=f"Test split, {counts.sum()} images")
    save(figure, path)


def roc(classes: dict[str, Any], names: dict[str, str], points: list[dict[str, Any]], path: Path) -> None:
    """The ROC curve of each class against the rest, and the operating points where they came out on the test.

    `classes`: a card's `metrics.test.classes`; `points`: its `operating_points`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.5))
    for axis, corner in zip(axes, (False, True), strict=True):
        for code, entry in classes.items():
            if entry["roc"]:
                label = f"{names[code]}: area {entry['auroc_against_the_rest']['value']:.3f}"
                axis.plot(entry["roc"]["false_positive_rate"], entry["roc"]["sensitivity"], label=label)
        for point in points:
            specificity, sensitivity = (point["test"][key]["value"] for key in ("specificity", "sensitivity"))
            if None not in (specificity, sensitivity):
                colour = f"C{list(classes).index(point['label'])}"
                axis.plot(1 - specificity, sensitivity, "o", color=colour, markersize=5)
        axis.plot([0, 1], [0, 1], color="grey", linewidth=0.7)
        axis.set(xlabel="1 - specificity", ylabel="sensitivity", title="ROC on the test split")
        axis.grid(alpha=0.3)
        if corner:
            axis.set(xlim=(-0.005, 0.2), ylim=(0.8, 1.005), title="The same, upper left corner")
    axes[0].legend(loc="lower right")
    axes[1].text(0.198, 0.81, "dots: operating points chosen on validation", ha="right", fontsize=8)
    save(figure, path)


def precision_recall(classes: dict[str, Any], names: dict[str, str], path: Path) -> None:
    """The precision-recall curve of each class against the rest; `classes` as for `roc`."""
    figure, axis = plt.subplots(figsize=(5.5, 4.5))
    for code, entry in classes.items():
        if entry["precision_recall"]:
            label = f"{names[code]}: average {entry['average_precision']['value']:.3f}"
            curve = entry["precision_recall"]
            axis.plot(curve["recall"], curve["precision"], drawstyle="steps-pre", label=label)
    axis.set(
        xlabel="recall (sensitivity)", ylabel="precision", title="Precision and recall on the test split"
    )
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axis.grid(alpha=0.3)
    axis.legend(loc="lower left")
    save(figure, path)


def reliability(test: dict[str, Any], path: Path) -> None:
    """Confidence and share correct on the test split, before and after the temperature; `test`: a card's
    `calibration.test`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), sharey=True)
    for axis, (when, entry) in zip(axes, (("before", test["before"]), ("after", test["after"])), strict=True):
        confidence, correct, images = (
            np.array([part[key] for part in entry["bins"]]) for key in ("confidence", "correct", "images")
        )
        axis.plot([0, 1], [0, 1], color="grey", linewidth=0.7)
        axis.plot(confidence, correct, marker="o")
        axis.bar(confidence, images / images.sum(), width=0.03, alpha=0.3, label="share of the images")
        error = entry["expected_calibration_error"]
        axis.set(xlabel="confidence: probability of the called class")
        axis.set(title=f"{when.capitalize()} temperature scaling: error {error:.3f}")
        axis.grid(alpha=0.3)
        axis.legend(loc="upper left")
    axes[0].set(ylabel="share called rightly", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes[1].set(xlim=(-0.02, 1.02))
    save(figure, path)
