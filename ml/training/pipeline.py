"""The `tf.data` input: every batch is a function of the seed and its number alone, so a resumed run sees
the same.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from ml.training.config import Augmentation
from ml.training.resampling import resample


def training_batches(
    images: np.ndarray,
    labels: np.ndarray,
    strata: np.ndarray,
    *,
    targets: dict[str, int],
    augmentation: Augmentation,
    batch: int,
    epochs: int,
    first_epoch: int,
    seed: int,
) -> tuple[tf.data.Dataset, int]:
    """Augmented batches of the epochs `first_epoch`..`epochs` - 1, and the number of batches in one epoch.

    `images`: uint8 (n, size, size); `labels` (n,) class numbers; `strata` (n,) as for `resample`. Yields
    float32 (batch, size, size, 1) in 0..1 and int32 (batch,).
    """
    orders = [resample(strata, targets, seed + epoch) for epoch in range(epochs)]
    batch = min(batch, len(orders[0]))
    steps = len(orders[0]) // batch
    order = np.concatenate([epoch[: steps * batch] for epoch in orders]).astype(np.int32).reshape(-1, batch)
    pixels, classes = tf.constant(images), tf.constant(labels.astype(np.int32))

    def load(number: tf.Tensor, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        square = tf.cast(tf.gather(pixels, positions), tf.float32)[..., tf.newaxis] / 255
        key = tf.stack([tf.constant(seed, tf.int32), tf.cast(number, tf.int32)])
        return augment(square, augmentation, key), tf.gather(classes, positions)

    numbers = tf.data.Dataset.range(first_epoch * steps, len(order))
    indices = tf.data.Dataset.from_tensor_slices(order[first_epoch * steps :])
    batches = tf.data.Dataset.zip(numbers, indices).map(load, num_parallel_calls=2, deterministic=True)
    return batches.prefetch(4), steps


def fixed_batches(images: np.ndarray, labels: np.ndarray, weights: np.ndarray, batch: int) -> tf.data.Dataset:
    """Batches for validation, in order and unchanged: pixels as above, class numbers, weight of each
    image.
    """
    rows = tf.data.Dataset.from_tensor_slices((images, labels.astype(np.int32), weights.astype(np.float32)))

    def load(
        square: tf.Tensor, label: tf.Tensor, weight: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return tf.cast(square, tf.float32)[..., tf.newaxis] / 255, label, weight

    return rows.batch(batch).map(load, num_parallel_calls=2).prefetch(2)


def augment(squares: tf.Tensor, change: Augmentation, key: tf.Tensor) -> tf.Tensor:
    """Change each image of a batch (batch, size, size, 1), 0..1, a little; the same `key` (2,) gives the
    same change.
    """
    count, size = tf.shape(squares)[0], squares.shape[1]

    def draw(number: int) -> tf.Tensor:
        return tf.random.stateless_uniform([count], tf.add(key, [0, number << 24]), -1.0, 1.0)

    angle = draw(1) * (change.rotation_degrees * math.pi / 180)
    scale_x, scale_y = 1 + draw(2) * change.zoom, 1 + draw(3) * change.zoom
    middle = (size - 1) / 2
    # Rows of the inverse map, from a place in the result to the place in the source that it is taken from.
    a, b = tf.cos(angle) * scale_x, -tf.sin(angle) * scale_x
    c, d = tf.sin(angle) * scale_y, tf.cos(angle) * scale_y
    x = middle - a * middle - b * middle + draw(4) * (change.shift * size)
    y = middle - c * middle - d * middle + draw(5) * (change.shift * size)
    zero = tf.zeros_like(a)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=squares,
        transforms=tf.stack([a, b, x, c, d, y, zero, zero], axis=1),
        output_shape=[size, size],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )

    def each(values: tf.Tensor) -> tf.Tensor:
        return tf.reshape(values, [-1, 1, 1, 1])

    weight = each(tf.maximum(draw(6), 0.0) * change.blur)
    blurred = moved + weight * (tf.nn.avg_pool2d(moved, 3, 1, "SAME") - moved)
    bent = tf.pow(tf.maximum(blurred, 1e-6), each(tf.exp(draw(7) * change.gamma)))
    noise = tf.random.stateless_normal(tf.shape(bent), tf.add(key, [0, 8 << 24])) * each(
        tf.maximum(draw(9), 0.0) * change.noise
    )
    result = tf.clip_by_value(bent + noise, 0.0, 1.0)
    result.set_shape([None, size, size, 1])
    return result
