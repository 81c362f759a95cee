"""The training loop: progress, early stopping, and a checkpoint after each epoch from which a killed run
goes on.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from ml.training.config import Config, Schedule
from ml.training.network import MAPS, SCORES, StyleMixing, build_network
from ml.training.pipeline import TrainingInput, fixed_batches
from ml.training.plots import training_curves
from ml.training.precision import precision
from ml.training.work import BEST, CURVES, HISTORY, STATE

# With a second loss Keras says whose accuracy it is.
NAMES = {"scores_accuracy": "accuracy", "val_scores_accuracy": "val_accuracy"}


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

    def __init__(
        self,
        folder: Path,
        patience: int,
        keep: str,
        history: list[dict[str, float]],
        size: int,
        seconds: float,
    ) -> None:
        super().__init__()
        self.folder, self.patience, self.keep, self.history, self.size = folder, patience, keep, history, size
        self.before, self.started = seconds, time.monotonic()

    @property
    def seconds(self) -> float:
        """Spent on this training, earlier runs included."""
        return self.before + time.monotonic() - self.started

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        figures = {NAMES.get(key, key): float(value) for key, value in (logs or {}).items()}
        self.history.append({"epoch": epoch + 1, "size": self.size, **figures})
        if kept_epoch(self.history, self.keep) == epoch + 1:
            _replace(self.folder / BEST, self.model.save_weights)
        name = f"epoch-{epoch + 1:03d}.weights.h5"
        _replace(self.folder / name, self.model.save_weights)
        state = {"checkpoint": name, "history": self.history, "seconds": round(self.seconds, 1)}
        _replace(self.folder / STATE, lambda path: Path(path).write_text(json.dumps(state), encoding="utf-8"))
        history = pd.DataFrame(self.history)
        _replace(self.folder / HISTORY, lambda path: history.to_csv(path, index=False))
        _replace(self.folder / CURVES, lambda path: training_curves(history, Path(path)))
        for old in self.folder.glob("epoch-*"):
            if old.name != name:
                old.unlink()
        if has_stalled(self.history, self.patience):
            self.model.stop_training = True


class SeededLayers(keras.callbacks.Callback):
    """Starts each epoch's dropout and style mixing from the seed and the epoch: a checkpoint does not hold the
    generators' state.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        for layer in self.model.layers:
            # A dropout of nothing has no generator.
            if isinstance(layer, keras.layers.Dropout | StyleMixing) and hasattr(layer, "seed_generator"):
                layer.seed_generator.state.assign([self.seed, epoch << 16])


def _of_last_size(history: list[dict[str, float]]) -> list[dict[str, float]]:
    """The epochs whose validation loss can be compared: a network judges squares of another size differently."""
    return [row for row in history if row["size"] == history[-1]["size"]]


def kept_epoch(history: list[dict[str, float]], keep: str) -> int:
    """The `last` epoch, or the `best`: the lowest validation loss, of those on squares of the last epoch's size."""
    if keep == "last":
        return int(history[-1]["epoch"])
    return int(min(_of_last_size(history), key=lambda row: row["val_loss"])["epoch"])


def has_stalled(history: list[dict[str, float]], patience: int) -> bool:
    """Whether the last `patience` epochs on squares of one size brought no better validation loss."""
    losses = [row["val_loss"] for row in _of_last_size(history)] if history else []
    return len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])


def _replace(path: Path, write: Any) -> None:
    temporary = path.with_name(f"tmp-{path.name}")
    write(str(temporary))
    temporary.replace(path)


def trainee(config: Config, *, steps: int) -> keras.Model:
    """The network as it learns `config.classes`, with an optimizer whose state a checkpoint can be loaded into.

    `steps`: batches in an epoch. It takes squares of any size and computes in the schedule's precision.
    """
    schedule = config.schedule
    with precision("mixed_bfloat16" if schedule.mixed_precision else "float32"):
        network = build_network(size=None, n_classes=len(config.classes), **vars(config.network))
    warm_up = min(schedule.warm_up_epochs, schedule.epochs - 1)
    rate = keras.optimizers.schedules.CosineDecay(
        schedule.learning_rate / 20 if warm_up else schedule.learning_rate,
        decay_steps=steps * (schedule.epochs - warm_up),
        warmup_target=schedule.learning_rate if warm_up else None,
        warmup_steps=steps * warm_up,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=schedule.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    # XLA is slower than oneDNN on a CPU.
    if schedule.outside_lungs:
        model = keras.Model(network.input, {name: network.output[name] for name in (SCORES, MAPS)})
        model.compile(
            optimizer,
            {SCORES: "sparse_categorical_crossentropy", MAPS: evidence_outside},
            loss_weights={SCORES: 1.0, MAPS: schedule.outside_lungs},
            metrics={SCORES: ["accuracy"]},
            jit_compile=False,
        )
    else:
        model = keras.Model(network.input, network.output[SCORES])
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    optimizer.build(model.trainable_variables)
    return model


def evidence_outside(lungs: keras.KerasTensor, maps: keras.KerasTensor) -> keras.KerasTensor:
    """The mean square of the evidence outside the lungs, for each image of a batch.

    `lungs`: (batch, size, size, 1) in 0..1; `maps`: (batch, h, w, classes), h and w a whole part of size. A network
    that may not find its reasons outside the lungs is right for better reasons (Ross et al. 2017, "Right for the
    right reasons", where the explanation is a gradient; here it is the evidence itself).
    """
    step = lungs.shape[1] // maps.shape[1]
    shown = keras.ops.average_pool(lungs, step, step, padding="same")
    return keras.ops.mean((1 - shown) * keras.ops.square(maps), axis=(1, 2, 3))


def fit(
    config: Config,
    *,
    images: np.ndarray,
    labels: np.ndarray,
    strata: np.ndarray,
    training: np.ndarray,
    validation: np.ndarray,
    folder: Path,
    lungs: np.ndarray | None = None,
    start_from: Path | None = None,
) -> tuple[keras.Model, pd.DataFrame, float]:
    """Train, or go on where a killed run stopped, and return the best network, the history and the seconds
    spent.

    `images`: uint8 (n, size, size); `labels` (n,): numbers in `config.classes`; `strata` (n,); `training`,
    `validation`: positions in them; `lungs`: see `TrainingInput`; `start_from`: weights of a network of the same
    shape to begin with, all but those of the last layer where its classes differ in number. The network returned
    names the labels alone, in full precision, with the weights that the schedule keeps; each class counts the same in
    the validation loss. `folder` holds the checkpoints; the same configuration and images must be
    given to go on.
    """
    keras.utils.set_random_seed(config.seed)
    folder.mkdir(parents=True, exist_ok=True)
    state = json.loads((folder / STATE).read_text()) if (folder / STATE).exists() else None
    history: list[dict[str, float]] = state["history"] if state else []
    schedule, n_classes = config.schedule, len(config.classes)
    last_phase = not history or history[-1]["size"] == config.size
    if len(history) < schedule.epochs and not (last_phase and has_stalled(history, schedule.patience)):
        rows = TrainingInput(
            images[training],
            labels[training],
            strata[training],
            targets=config.resampling,
            augmentation=config.augmentation,
            schedule=schedule,
            seed=config.seed,
            balance=config.balance,
            lungs=lungs[training] if lungs is not None else None,
        )
        model = trainee(config, steps=rows.steps)
        if state:
            model.load_weights(folder / state["checkpoint"])
        elif start_from:
            with warnings.catch_warnings():
                # That the last layer of another label set does not fit is what is wanted.
                warnings.filterwarnings("ignore", message="A total of|.*could not be loaded|Skipping nested")
                # A model without an optimizer: a checkpoint's own would bring its number of steps, and with it the end
                # of the schedule, where nothing is learnt any more.
                keras.Model(model.input, model.output).load_weights(start_from, skip_mismatch=True)
        counts = np.bincount(labels[validation], minlength=n_classes)
        weights = (len(validation) / np.maximum(counts, 1) / n_classes)[labels[validation]]
        class_weight = (
            _class_weights(labels[training], n_classes) if config.balance == "class_weights" else None
        )
        spent = state["seconds"] if state else 0.0
        for size, end_epoch, patience in _phases(schedule, config.size):
            if len(history) >= end_epoch:
                continue
            checkpoint = Checkpoint(folder, patience, schedule.keep, history, size, spent)
            model.fit(
                rows.batches(len(history), end_epoch, size),
                initial_epoch=len(history),
                epochs=end_epoch,
                steps_per_epoch=rows.steps,
                shuffle=False,
                verbose=0,
                class_weight=class_weight,
                validation_data=fixed_batches(
                    images[validation],
                    labels[validation],
                    weights,
                    128,
                    size,
                    lungs=bool(schedule.outside_lungs),
                ),
                callbacks=[
                    SeededLayers(config.seed),
                    Progress(rows.steps, schedule.epochs, len(history)),
                    checkpoint,
                ],
            )
            spent = checkpoint.seconds
    seconds = json.loads((folder / STATE).read_text())["seconds"]
    return finished(config, folder / BEST), pd.DataFrame(history), seconds


def _phases(schedule: Schedule, size: int) -> list[tuple[int, int, int]]:
    """Size of the squares, the epoch to end before, and the patience, of the small epochs and of the others.

    What is only the beginning is not stopped early.
    """
    small = [(schedule.small_size, schedule.small_epochs, schedule.epochs)] if schedule.small_epochs else []
    return [*small, (size, schedule.epochs, schedule.patience)]


def _class_weights(labels: np.ndarray, n_classes: int) -> dict[int, float]:
    """What each class's loss is multiplied by, so that all weigh the same (scikit-learn's `balanced`)."""
    counts = np.bincount(labels, minlength=n_classes)
    return {number: len(labels) / n_classes / max(int(count), 1) for number, count in enumerate(counts)}


def finished(config: Config, weights: Path) -> keras.Model:
    """The network of `config` with its labels alone, in full precision and of fixed size, from a run's weights.

    Without the auxiliary codes its scores are the probabilities given that one of the labels is right.
    """
    parts = {**vars(config.network), "style_mixing": 0.0}
    whole = build_network(size=config.size, n_classes=len(config.classes), **parts)
    keras.Model(whole.input, whole.output[SCORES]).load_weights(weights)
    network = build_network(size=config.size, n_classes=len(config.labels), **parts)
    for ours, trained in zip(network.weights, whole.weights, strict=True):
        ours.assign(trained[..., : ours.shape[-1]])
    return network
