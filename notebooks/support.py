"""What the notebook needs beside `ml`: a small share of the data, and pictures small enough to be kept in it."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image, display

from ml.data.importers import SOURCES
from ml.data.manifest import list_images
from ml.evaluation.plots import save

# Of the 60 X-rays with outlines.
OUTLINED = 8
TABLE = "covid-chestxray-dataset/metadata.csv"


def small_share(data: Path, folder: Path, most: int) -> Path:
    """Fill `folder` with links to the first `most` images of each class of each source; returns it.

    The publishers' layouts are kept, so that whatever reads `data` reads `folder`. Every other finding than COVID-19
    of `covid-chestxray-dataset` is linked: there are few. Raises FileNotFoundError where a source is missing.
    """
    images = list_images(data, list(SOURCES))
    several = images.groupby(["source", "label"], sort=False).cumcount() < most
    outlined = images["source"] == "covid_segmentation"
    first = outlined & (outlined.cumsum() <= OUTLINED)
    paths = images.loc[(several & ~outlined) | first, "path"].tolist()
    masks = [
        path.replace("/images/", f"/{kind}/").replace(".jpg", ".png")
        for path in images.loc[first, "path"]
        for kind in ("lungs", "lesions")
    ]
    for path in [*paths, *masks]:
        link = folder / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to((data / path).resolve())
    shutil.copy(data / TABLE, folder / TABLE)
    return folder


def show(figure: plt.Figure) -> None:
    """Show a figure below the cell, of as few colours and bytes as the pictures of a model's card."""
    show_drawn(lambda file: save(figure, file))


def show_drawn(draw: Callable[..., None], *arguments: Any) -> None:
    """Show what a function that writes a picture to the path in its last argument writes."""
    file = io.BytesIO()
    draw(*arguments, file)
    display(Image(data=file.getvalue(), format="png"))


def pictures(
    rows: dict[str, list[np.ndarray]], titles: list[str] | None = None, *, side: float = 1.5, **style: Any
) -> plt.Figure:
    """A sheet of pictures (rows, columns) each: a row for each name, `titles` above the columns.

    `style`: of `imshow`; grey from 0 to 1 where nothing else is said.
    """
    columns = max(len(row) for row in rows.values())
    lines = max((title.count("\n") + 1 for title in titles or []), default=0)
    size = columns * side, len(rows) * side * 1.1 + 0.2 * lines
    figure, axes = plt.subplots(len(rows), columns, figsize=size, squeeze=False)
    for line, (name, row) in zip(axes, rows.items(), strict=True):
        for axis in line:
            axis.axis("off")
        for number, picture in enumerate(row):
            line[number].imshow(picture, **({"cmap": "gray", "vmin": 0, "vmax": 1} | style))
        line[0].text(-0.06, 0.5, name, ha="right", va="center", fontsize=8, transform=line[0].transAxes)
    for axis, title in zip(axes[0], titles or [], strict=False):
        axis.set_title(title, fontsize=8)
    return figure


def overlaid(square: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A grey picture (n, n) in 0..1 with a map of the same shape over it: (n, n, 3), as the portal lays it."""
    cover = 0.6 * heat[..., np.newaxis]
    return (1 - cover) * square[..., np.newaxis] + cover * plt.get_cmap("viridis")(heat)[..., :3]
