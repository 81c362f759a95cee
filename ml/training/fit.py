"""The training loop: progress, early stopping, and a checkpoint after each epoch from which a killed run
goes on.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from ml.training.config import Config, Schedule
from ml.training.network import SCORES, build_network
from ml.training.pipeline import fixed_batches, training_batches
from ml.training.work import BEST, HISTORY, STATE


class Progress(keras.callbacks.Callback):
    """One bar over all batches of all epochs, with the time left."""

    def __init__(self, steps: int, epochs: int, first_epoch: int) -> None:
        super().__init__()
        self.bar = tqdm(
            total=steps * epochs, initial=steps * first_epoch, desc="training", unit="batch", mininterval=2
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.bar.set_postfix({key: f"{value:.3f}" for key, value in (logs or {}).items()}, refresh=False)
        self.bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        figures = ", ".join(f"{key} {value:.4f}" for key, value in (logs or {}).items())
        # Standard output belongs to the result.
        self.bar.write(f"epoch {epoch + 1}: {figures}", file=sys.stderr)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self.bar.close()


class Checkpoint(keras.callbacks.Callback):
    """After each epoch: all that a continuation needs, the best weights by validation loss, and the early
    stop.

    The state file names the weights that belong to it and is replaced in one step, so a kill at any moment
    leaves either this epoch's state or the one before.
    """

    def __init__(self, folder: Path, patience: int, history: list[dict[str, float]], seconds: float) -> None:
        super().__init__()
        self.folder, self.patience, self.history = folder, patience, history
        self.before, self.started = seconds, time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        earlier = min((row["val_loss"] for row in self.history), default=np.inf)
        row = {"epoch": epoch + 1, **{key: float(value) for key, value in (logs or {}).items()}}
        self.history.append(row)
        if row["val_loss"] < earlier:
            _replace(self.folder / BEST, self.model.save_weights)
        name = f"epoch-{epoch + 1:03d}.weights.h5"
        _replace(self.folder / name, self.model.save_weights)
        seconds = self.before + time.monotonic() - self.started
        state = {"checkpoint": name, "history": self.history, "seconds": round(seconds, 1)}
        _replace(self.folder / STATE, lambda path: Path(path).write_text(json.dumps(state), encoding="utf-8"))
        _replace(self.folder / HISTORY, lambda path: pd.DataFrame(self.history).to_csv(path, index=False))
        for old in self.folder.glob("epoch-*"):
            if old.name != name:
                old.unlink()
        if has_stalled(self.history, self.patience):
            self.model.stop_training = True


class SeededDropout(keras.callbacks.Callback):
    """Starts each epoch's dropout from the seed and the epoch: a checkpoint does not hold the generators'
    state.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        for layer in self.model.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.seed_generator.state.assign([self.seed, epoch << 16])


def has_stalled(history: list[dict[str, float]], patience: int) -> bool:
    """Whether the last `patience` epochs brought no better validation loss."""
    losses = [row["val_loss"] for row in history]
    return len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])


def _replace(path: Path, write: Any) -> None:
    temporary = path.with_name(f"tmp-{path.name}")
    write(str(temporary))
    temporary.replace(path)


def _trainee(network: keras.Model, schedule: Schedule, steps: int) -> keras.Model:
    """The part of the network that learns, with an optimizer whose state a checkpoint can be loaded into."""
    warm_up = min(schedule.warm_up_epochs, schedule.epochs - 1)
    rate = keras.optimizers.schedules.CosineDecay(
        schedule.learning_rate / 20 if warm_up else schedule.learning_rate,
        decay_steps=steps * (schedule.epochs - warm_up),
        warmup_target=schedule.learning_rate if warm_up else None,
        warmup_steps=steps * warm_up,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=schedule.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    trainee = keras.Model(network.input, network.output[SCORES])
    # XLA is slower than oneDNN on a CPU.
    trainee.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    optimizer.build(trainee.trainable_variables)
    return trainee


def fit(
    config: Config,
    *,
    images: np.ndarray,
    labels: np.ndarray,
    strata: np.ndarray,
    training: np.ndarray,
    validation: np.ndarray,
    folder: Path,
) -> tuple[keras.Model, pd.DataFrame, float]:
    """Train, or go on where a killed run stopped, and return the best network, the history and the seconds
    spent.

    `images`: uint8 (n, size, size); `labels`, `strata` (n,); `training`, `validation`: positions in them. The
    network returned has both outputs and the weights of the epoch with the lowest validation loss, in which
    each class counts the same. `folder` holds the checkpoints; the same configuration and images must be
    given to go on.
    """
    keras.utils.set_random_seed(config.seed)
    folder.mkdir(parents=True, exist_ok=True)
    network = build_network(size=config.size, n_classes=len(config.labels), **vars(config.network))
    state = json.loads((folder / STATE).read_text()) if (folder / STATE).exists() else None
    history: list[dict[str, float]] = state["history"] if state else []
    schedule = config.schedule
    batches, steps = training_batches(
        images[training],
        labels[training],
        strata[training],
        targets=config.resampling,
        augmentation=config.augmentation,
        batch=schedule.batch,
        epochs=schedule.epochs,
        first_epoch=len(history),
        seed=config.seed,
    )
    if len(history) < schedule.epochs and not has_stalled(history, schedule.patience):
        trainee = _trainee(network, schedule, steps)
        if state:
            trainee.load_weights(folder / state["checkpoint"])
        counts = np.bincount(labels[validation], minlength=len(config.labels))
        weights = (len(validation) / np.maximum(counts, 1) / len(config.labels))[labels[validation]]
        trainee.fit(
            batches,
            initial_epoch=len(history),
            epochs=schedule.epochs,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            validation_data=fixed_batches(images[validation], labels[validation], weights, 128),
            callbacks=[
                SeededDropout(config.seed),
                Progress(steps, schedule.epochs, len(history)),
                Checkpoint(folder, schedule.patience, history, state["seconds"] if state else 0.0),
            ],
        )
    keras.Model(network.input, network.output[SCORES]).load_weights(folder / BEST)
    seconds = json.loads((folder / STATE).read_text())["seconds"]
    return network, pd.DataFrame(history), seconds
