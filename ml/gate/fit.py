"""Training the gate's network: every batch is a function of the seed and its number alone."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from ml.gate.drawings import SIZE
from ml.gate.kinds import CLASSES, FRONTAL, STRAIGHT
from ml.gate.network import FEATURES, SCORES, build_gate
from ml.training.config import Augmentation
from ml.training.pipeline import augment
from ml.training.precision import precision

BATCH = 128
#: Of a batch: chests as they are, and chests made into each class that a turn or an inversion makes.
UPRIGHT, OF_EACH_TURN = 50, 6
TURNS = {"turned_90": 3, "turned_180": 2, "turned_270": 1}
STEPS = 1500
RATE = 4e-3
#: Share of the chests shown mirrored: where the heart lies is no part of the question, see docs/gate.md.
MIRRORED = 0.3
#: What another hospital, device, crop or compression may do to a film, and what must not make it a stranger.
CHANGES = Augmentation(
    rotation_degrees=STRAIGHT,
    shift=0.1,
    zoom=0.22,
    gamma=0.8,
    blur=1.0,
    noise=0.08,
    local_contrast=1.0,
    low_resolution=0.4,
    border=0.15,
    patches=2,
)


def fit(
    chests: np.ndarray,
    strata: np.ndarray,
    others: np.ndarray,
    labels: np.ndarray,
    *,
    steps: int = STEPS,
    seed: int,
) -> keras.Model:
    """Train a gate. `chests`: uint8 (n, SIZE, SIZE), upright frontal films, `strata` (n,) the source of each;
    `others`: uint8 (m, SIZE, SIZE) of the class numbers `labels` (m,).

    Of the sources each is drawn by the square root of its size. Returns the network in float32.
    """
    keras.utils.set_random_seed(seed)
    weights = _weights(strata)
    random = np.random.default_rng(seed)
    with precision("mixed_bfloat16"):
        trainee = build_gate(len(CLASSES))
    optimizer = keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(RATE, steps), weight_decay=0.02)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    optimizer.build(trainee.trainable_variables)
    turned = len(TURNS) + 1
    classes = [CLASSES.index(FRONTAL)] * UPRIGHT + [
        CLASSES.index(name) for name in (*TURNS, "inverted") for _ in range(OF_EACH_TURN)
    ]
    from_chests = UPRIGHT + turned * OF_EACH_TURN

    mirrored = tf.constant(np.arange(BATCH) < from_chests)

    @tf.function
    def step(squares: tf.Tensor, truth: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        films = tf.cast(squares, tf.float32)[..., tf.newaxis] / 255
        draw = tf.random.stateless_uniform([BATCH], tf.add(key, [0, 91 << 24]))
        films = tf.where(((draw < MIRRORED) & mirrored)[:, None, None, None], films[:, :, ::-1], films)
        pictures = _in_class(changed(films, key))
        with tf.GradientTape() as tape:
            scores = trainee(pictures, training=True)[SCORES]
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(truth, scores))
        variables = trainee.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    bar = tqdm(range(steps), desc="gate", unit="batch", mininterval=5)
    for number in bar:
        films = random.choice(len(chests), from_chests, p=weights)
        strangers = random.choice(len(others), BATCH - from_chests)
        loss = step(
            tf.constant(np.concatenate([chests[films], others[strangers]])),
            tf.constant(np.concatenate([classes, labels[strangers]]).astype(np.int32)),
            tf.constant([seed, number]),
        )
        if number % 20 == 0:
            bar.set_postfix(loss=f"{float(loss):.3f}", refresh=False)
    network = build_gate(len(CLASSES))
    network.set_weights(trainee.get_weights())
    return network


def changed(squares: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Squares float32 (n, SIZE, SIZE, 1) changed by `CHANGES`, and a share of them cut off at both ends of grey."""
    result = augment(squares, CHANGES, key)
    draws = tf.random.stateless_uniform(
        [2, tf.shape(squares)[0], 1, 1, 1], tf.add(key, [0, 90 << 24]), -0.15, 0.2
    )
    low, high = tf.maximum(draws[0], 0.0), 1 - tf.maximum(draws[1], 0.0)
    return tf.clip_by_value((result - low) / (high - low), 0.0, 1.0)


def _in_class(pictures: tf.Tensor) -> tf.Tensor:
    """Turn and invert the chests of a batch that stand for those classes."""
    parts, place = [pictures[:UPRIGHT]], UPRIGHT
    for quarters in TURNS.values():
        parts.append(tf.image.rot90(pictures[place : place + OF_EACH_TURN], quarters))
        place += OF_EACH_TURN
    parts += [1 - pictures[place : place + OF_EACH_TURN], pictures[place + OF_EACH_TURN :]]
    return tf.ensure_shape(tf.concat(parts, axis=0), (None, SIZE, SIZE, 1))


def answers(network: keras.Model, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n, n_classes) and features (n, n_features) of squares uint8 (n, SIZE, SIZE)."""
    call = tf.function(lambda batch: network(batch, training=False))
    found = [
        call(tf.constant(squares[start : start + 256, ..., np.newaxis].astype(np.float32) / 255))
        for start in range(0, len(squares), 256)
    ]
    return tuple(np.concatenate([part[name].numpy() for part in found]) for name in (SCORES, FEATURES))  # type: ignore[return-value]


def _weights(strata: np.ndarray) -> np.ndarray:
    _, number, counts = np.unique(strata, return_inverse=True, return_counts=True)
    weights = np.sqrt(counts)[number] / counts[number]
    return weights / weights.sum()
