"""The report on a manifest: a page and its pictures, to look at the data before any network does."""

from __future__ import annotations

from html import escape
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ml.data.duplicates import report
from ml.data.manifest import load_squares
from ml.preprocessing import Preprocessing

SAMPLES = 8
# Images of each class and source whose grey values are counted: the mean histogram is steady long before.
COUNTED = 200
SIDE = 96
DPI = 90
UNLABELLED = "(no label)"

STYLE = """body { font: 16px/1.5 sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { border: 1px solid #999; padding: .2rem .6rem; }
td { text-align: right; } th { text-align: left; } img { max-width: 100%; }"""


def write_report(manifest: pd.DataFrame, data: Path, folder: Path) -> Path:
    """Write `report.html` and its pictures into `folder`; returns the page.

    `manifest` as of `add_hashes`, its paths relative to `data`. The sample sheet shows images of the data
    set: the folder goes wherever the data may go, and nowhere else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = manifest.assign(label=manifest["label"].where(manifest["label"] != "", UNLABELLED))
    drawn = _draw(rows)
    squares = load_squares(drawn["path"].tolist(), data, Preprocessing(size=SIDE))
    _class_counts(rows, folder / "classes.png")
    _sample_sheet(drawn, squares, folder / "samples.png")
    _intensities(drawn, squares, folder / "intensity.png")
    _sizes(rows, folder / "sizes.png")
    page = folder / "report.html"
    page.write_text(_page(rows), encoding="utf-8")
    return page


def _draw(rows: pd.DataFrame) -> pd.DataFrame:
    """Up to COUNTED images of each class and source, the same ones every time."""
    shuffled = rows.sample(frac=1, random_state=0)
    return shuffled.groupby(["label", "source"], sort=True).head(COUNTED).sort_values(["label", "source"])


def _save(figure: plt.Figure, path: Path) -> None:
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    plt.close(figure)


def _class_counts(rows: pd.DataFrame, path: Path) -> None:
    table = pd.crosstab(rows["label"], rows["source"])
    figure, axis = plt.subplots(figsize=(9, 1.5 + 0.35 * len(table)), layout="tight")
    table.plot.barh(stacked=True, ax=axis)
    # Sets of ten thousand and of ten stand in one picture.
    axis.set(
        xscale="symlog", xlabel="images (logarithmic)", ylabel="", title="Images of each class, by source"
    )
    axis.invert_yaxis()
    _save(figure, path)


def _sample_sheet(drawn: pd.DataFrame, squares: np.ndarray, path: Path) -> None:
    positions = drawn.reset_index(drop=True).groupby(["label", "source"]).indices
    figure, axes = plt.subplots(
        len(positions), SAMPLES, figsize=(SAMPLES * 1.2, len(positions) * 1.4), squeeze=False
    )
    for row, ((label, source), chosen) in zip(axes, positions.items(), strict=True):
        for axis in row:
            axis.axis("off")
        for axis, position in zip(row, chosen, strict=False):
            axis.imshow(squares[position], cmap="gray", vmin=0, vmax=255)
        row[0].set_title(f"{label}, {source}", fontsize=7, loc="left")
    # A tight layout would make room for each title in the first column alone.
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.98, wspace=0.04, hspace=0.3)
    _save(figure, path)


def _intensities(drawn: pd.DataFrame, squares: np.ndarray, path: Path) -> None:
    """Mean histograms of grey values, by class and by source: where sources differ more than classes, the grey
    level is a shortcut on offer.
    """
    histograms = np.stack([np.bincount(image.ravel() // 4, minlength=64) for image in squares]) / SIDE**2
    greys = (np.arange(64) + 0.5) / 64
    # Publishers' findings of a few images would be noise.
    common = drawn["label"].value_counts()
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), sharey=True, layout="tight")
    for axis, column in zip(axes, ("label", "source"), strict=True):
        names = [name for name in sorted(drawn[column].unique()) if column == "source" or common[name] >= 10]
        for name in names or sorted(drawn[column].unique()):
            axis.plot(greys, histograms[(drawn[column] == name).to_numpy()].mean(axis=0), label=name)
        axis.set(xlabel="grey value (0 black, 1 white)", ylabel="share of pixels")
        axis.set_title(f"Pixel intensity by {'class' if column == 'label' else 'source'}")
        axis.set_ylim(0, float(np.percentile(histograms.mean(axis=0), 97)) * 3)
        axis.legend(fontsize=7)
    _save(figure, path)


def _sizes(rows: pd.DataFrame, path: Path) -> None:
    figure, axis = plt.subplots(figsize=(7, 5), layout="tight")
    for source, part in rows.groupby("source"):
        counts = part.groupby(["width", "height"]).size().reset_index(name="images")
        axis.scatter(
            counts["width"], counts["height"], s=8 + 8 * np.log1p(counts["images"]), alpha=0.6, label=source
        )
    axis.set(xlabel="width (pixels)", ylabel="height (pixels)", title="Sizes of the files, by source")
    axis.legend(fontsize=7)
    _save(figure, path)


def _html(table: pd.DataFrame) -> str:
    return table.to_html(border=0, escape=True)


def _page(rows: pd.DataFrame) -> str:
    duplicates = report(rows)
    twins = pd.DataFrame(
        {
            **{f"within {name}": counts for name, counts in duplicates["within"].items()},
            **{f"between {name}": counts for name, counts in duplicates["between"].items()},
            "with labels that contradict": duplicates["conflicting_labels"],
        }
    ).T.rename(columns={"near_twin_images": "images with a near-twin", "copied_images": "images with a copy"})
    groups = duplicates["near_twin_groups"]
    sizes = rows.groupby("source")[["width", "height"]].agg(["min", "median", "max"])
    ages = pd.crosstab(rows["source"], rows["age_group"].replace("", "not given"))
    sections = [
        f"<p>{len(rows)} images of {rows['source'].nunique()} sources.</p>",
        "<h2>Classes</h2>",
        _html(pd.crosstab(rows["label"], rows["source"], margins=True, margins_name="all")),
        '<img src="classes.png" alt="Images of each class, by source">',
        "<h2>Samples</h2>",
        '<img src="samples.png" alt="Images of each class and source">',
        "<h2>Pixel intensity</h2>",
        f"<p>Mean over up to {COUNTED} images of each class and source. Where the sources differ more than the "
        "classes, a network can tell the source by the grey level alone.</p>",
        '<img src="intensity.png" alt="Distribution of grey values by class and by source">',
        "<h2>Duplicates</h2>",
        f"<p>Method: {escape(duplicates['method'])}. {groups['groups']} groups of two or more near-twins: "
        f"{groups['within_one_set']} inside one set, {groups['between_sets']} over several sets, "
        f"{groups['conflicting_labels']} with labels that contradict one another. "
        f"{duplicates['files_with_an_identical_copy']} files have a copy that is equal byte for byte. With the "
        f"images of each patient joined as well, the split has {duplicates['groups']} groups to keep whole; the "
        f"largest has {duplicates['largest_group']} images.</p>",
        _html(twins),
        "<h2>Sizes</h2>",
        _html(sizes),
        '<img src="sizes.png" alt="Sizes of the files, by source">',
        "<h2>Age groups</h2>",
        _html(ages),
    ]
    body = "\n".join(sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Data report</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>Data report</h1>\n{body}\n</body></html>\n"
    )
