"""The card of a model folder: measured on the finished export, written with the pictures and the readable page."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ml.data.split import TEST, load_split
from ml.evaluation import plots
from ml.evaluation.evaluate import CARD_FORMAT, ask, decide, evaluate, read_images
from ml.evaluation.parity import runtime_parity
from ml.evaluation.readme import model_card_text
from ml.serving import ServedModel, load_model
from ml.serving.folder import CARD, SPLIT, file_digests

README = "README.md"
PARITY_IMAGES = 256


def complete(card: dict[str, Any], folder: Path, data: Path, *, temperature: float) -> dict[str, Any]:
    """Choose on validation, measure, draw, and write the card of `folder`; returns it.

    `card` holds what does not come from measuring. Every figure comes through the code that serves the finished
    export. Raises RuntimesDifferError if the export does not give what the Keras network gives, DataDiffersError
    if `data` does not hold the images of the split.
    """
    (folder / "plots").mkdir(exist_ok=True)
    kept = {key: value for key, value in card.items() if key not in ("conformal", "files")}
    card = {"format": CARD_FORMAT, **kept, "measured": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")}
    # The network can only be loaded, and so measured, from a folder with a card.
    _dump(card, folder)
    model = load_model(folder)
    answers = ask(model, folder, data)
    card |= decide(answers, temperature)
    card |= evaluate(answers, card)
    card["runtime_parity"] = parity(model, folder, data, PARITY_IMAGES)
    _draw(card, folder)
    (folder / README).write_text(model_card_text(card), encoding="utf-8")
    _dump(card, folder)
    load_model(folder)
    return card


def _dump(card: dict[str, Any], folder: Path) -> None:
    document = json.dumps({**card, "files": file_digests(folder)}, indent=2, ensure_ascii=False)
    # A number a line would make a curve of a hundred points two hundred lines.
    document = re.sub(
        r"\[\s+([-+.,\d\seE]+?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", document
    )
    (folder / CARD).write_text(document + "\n", encoding="utf-8")


def parity(model: ServedModel, folder: Path, data: Path, images: int) -> dict[str, Any]:
    """The served runtime against Keras, on the first test images. Raises RuntimesDifferError."""
    rows = load_split(folder / SPLIT)
    some = rows[rows["split"] == TEST].head(images)
    return runtime_parity(model, load_model(folder, "keras"), read_images(some, data))


def _draw(card: dict[str, Any], folder: Path) -> None:
    names = {entry["code"]: entry["display"] for entry in card["labels"]}
    test = card["metrics"]["test"]
    matrix = test["confusion_matrix"]["rows_are_truth"]
    plots.confusion(matrix, list(names.values()), folder / "plots" / "confusion.png")
    plots.roc(test["classes"], names, card["operating_points"], folder / "plots" / "roc.png")
    plots.precision_recall(test["classes"], names, folder / "plots" / "precision-recall.png")
    plots.reliability(card["calibration"]["test"], folder / "plots" / "reliability.png")


def rewrite(
    folder: Path,
    data: Path,
    *,
    more: Mapping[str, Callable[[ServedModel, Path, Path], Any]],
    hold_out: list[Any],
) -> dict[str, Any]:
    """Measure a finished folder again and write its card, page and pictures anew; returns the card.

    `more`: further blocks of the card by name, each measured by its function of the model, the folder and the
    data. `hold_out`: what `python -m ml hold-out` printed; an empty list keeps what the card holds. The folder
    changes whole or not at all; its weights and its split stay as they are. The card names the model, so this
    makes another model of it: not for a folder whose predictions are on record under the old name.
    """
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        model = load_model(folder)
        shutil.copytree(folder, draft)
        card = dict(model.card)
        for name, function in more.items():
            card[name] = function(model, folder, data)
        if hold_out:
            card["hold_out"] = hold_out
        card = complete(card, draft, data, temperature=card["calibration"]["temperature"])
        old = folder.with_name(f".{folder.name}.old")
        # Left by a run that was killed after its last step but this.
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        try:
            draft.rename(folder)
        except OSError:
            old.rename(folder)
            raise
        shutil.rmtree(old)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return card
