"""How much of a training step goes to the input: ``python -m benchmarks.training [--config FILE]``.

The same number of steps three times in one run, on random squares: the input alone, the network alone on one batch that
lies ready, and both together as in a training. What both cost more than the network alone is what the input costs; on two
cores that do nothing else, waiting for data and computing for data come to the same. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from ml.training.config import DEFAULT, Config, load_config

STEPS = 40
WARM_UP = 5


def measure(config: Config) -> dict[str, Any]:
    """Seconds a step of each kind, images/s together, and the share of a step that is the input's."""
    import tensorflow as tf

    from ml.training.fit import trainee
    from ml.training.pipeline import TrainingInput

    random = np.random.default_rng(0)
    images = (STEPS + WARM_UP) * config.schedule.batch
    rows = TrainingInput(
        random.integers(0, 255, (images, config.size, config.size), dtype=np.uint8),
        np.arange(images) % len(config.classes),
        np.array(["all"] * images),
        targets={},
        augmentation=config.augmentation,
        schedule=config.schedule,
        seed=0,
        lungs=np.zeros((images, 96, 96), np.uint8) if config.needs_lungs else None,
    )
    first = config.schedule.small_epochs

    def batches() -> Any:
        return iter(rows.batches(first, config.schedule.epochs, config.size))

    model = trainee(config, steps=STEPS)

    def seconds(those: Any, step: Any) -> float:
        for row in itertools.islice(those, WARM_UP):
            step(row)
        started = time.perf_counter()
        for row in itertools.islice(those, STEPS):
            step(row)
        return (time.perf_counter() - started) / STEPS

    ready = next(batches())
    # Network, both, network, both: what else the machine does falls on both alike.
    figures: dict[str, list[float]] = {"input": [], "network": [], "both": []}
    for _ in range(2):
        figures["network"].append(seconds(itertools.repeat(ready), lambda row: model.train_on_batch(*row)))
        figures["both"].append(seconds(batches(), lambda row: model.train_on_batch(*row)))
    figures["input"].append(seconds(batches(), lambda row: tf.reduce_sum(row[0])))
    best = {name: min(values) for name, values in figures.items()}
    return {
        "size": config.size,
        "batch": config.schedule.batch,
        "seconds_a_step": {name: round(value, 4) for name, value in best.items()},
        "images_per_second": round(config.schedule.batch / best["both"], 1),
        "share_of_the_input": round(max(0.0, 1 - best["network"] / best["both"]), 3),
    }


def main() -> None:
    """Measure one configuration and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=DEFAULT, metavar="FILE")
    print(json.dumps(measure(load_config(parser.parse_args().config)), indent=2))


if __name__ == "__main__":
    main()
