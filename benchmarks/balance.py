"""Three ways to meet uneven classes, side by side: ``python -m benchmarks.balance --data DIR``.

Each trains the same small network on the same images from the same seed for the same number of images, and is measured
on the validation split, which the choice may see; the test split stays out of it. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ml.data.manifest import load_squares
from ml.data.split import TRAIN, VALIDATION
from ml.evaluation.metrics import measure
from ml.preprocessing import Preprocessing
from ml.training.config import BALANCES, CONFIGS, Config, load_config
from ml.training.train import prepare


def trained_with(config: Config, rows: Any, squares: np.ndarray, work: Path) -> dict[str, Any]:
    """The figures on the validation split after a training of `config`."""
    from ml.training.fit import fit
    from ml.training.network import SCORES

    labels = rows["label"].map({code: number for number, code in enumerate(config.labels)}).to_numpy()
    validation = np.flatnonzero(rows["split"] == VALIDATION)
    network, history, seconds = fit(
        config,
        images=squares,
        labels=labels,
        strata=(rows["label"] + "/" + rows["source"]).to_numpy(dtype=str),
        training=np.flatnonzero(rows["split"] == TRAIN),
        validation=validation,
        folder=work,
    )
    shown = squares[validation].astype(np.float32)[..., np.newaxis] / 255
    probabilities = np.concatenate([
        network(shown[start : start + 64], training=False)[SCORES] for start in range(0, len(shown), 64)
    ])  # fmt: skip
    figures = measure(rows["label"].to_numpy(dtype=str)[validation], probabilities, list(config.labels))
    return {
        "accuracy": figures["accuracy"],
        "balanced_accuracy": figures["balanced_accuracy"],
        "sensitivity": {code: entry["sensitivity"] for code, entry in figures["classes"].items()},
        "auroc": {code: entry["auroc_against_the_rest"] for code, entry in figures["classes"].items()},
        "epochs": len(history),
        "minutes": round(seconds / 60, 1),
    }


def main() -> None:
    """Train once with each way and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    config = load_config(CONFIGS / "covid3-quick.json")
    result: dict[str, Any] = {"configuration": "covid3-quick", "measured_on": VALIDATION}
    with tempfile.TemporaryDirectory() as scratch:
        rows, _ = prepare(config, options.data, Path(scratch))
        squares = load_squares(rows["path"].tolist(), options.data, Preprocessing(size=config.size))
        an_epoch = sum(config.resampling.values())
        for balance in BALANCES:
            # An epoch of class weights is every training image once: bring all ways to the same number of images.
            images = int((rows["split"] == TRAIN).sum()) if balance == "class_weights" else an_epoch
            epochs = round(config.schedule.epochs * an_epoch / images)
            one = replace(config, balance=balance, schedule=replace(config.schedule, epochs=epochs))
            result[balance] = trained_with(one, rows, squares, Path(scratch) / balance)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
