"""The `tf.data` input: every batch is a function of the seed and its number alone, so a resumed run sees
the same.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from ml.training.config import Augmentation, Schedule
from ml.training.network import MAPS, SCORES
from ml.training.resampling import resample, spread


class TrainingInput:
    """The augmented batches of a training, by epoch.

    `images`: uint8 (n, size, size); `labels` (n,) class numbers; `strata` (n,) and `targets` as for `resample`;
    `lungs`: uint8 (n, side, side), 255 where each image's lungs are, for a configuration that `needs_lungs`. `steps`
    is the number of batches in one epoch.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        strata: np.ndarray,
        *,
        targets: dict[str, int],
        augmentation: Augmentation,
        schedule: Schedule,
        seed: int,
        balance: str = "resampled",
        lungs: np.ndarray | None = None,
    ) -> None:
        drawn = {} if balance == "class_weights" else targets
        orders = [resample(strata, drawn, seed + epoch) for epoch in range(schedule.epochs)]
        if balance == "balanced_batches":
            orders = [spread(strata, order, seed + epoch) for epoch, order in enumerate(orders)]
        batch = min(schedule.batch, len(orders[0]))
        self.steps = len(orders[0]) // batch
        whole = np.concatenate([order[: self.steps * batch] for order in orders])
        self.order = whole.astype(np.int32).reshape(-1, batch)
        self.pixels, self.classes = tf.constant(images), tf.constant(labels.astype(np.int32))
        self.lungs = None if lungs is None else tf.constant(lungs)
        self.augmentation, self.seed = augmentation, seed
        self.tells_lungs = bool(schedule.outside_lungs)

    def batches(self, first_epoch: int, end_epoch: int, size: int) -> tf.data.Dataset:
        """The batches from `first_epoch` to before `end_epoch`: float32 (batch, size, size, 1) in 0..1 and int32
        (batch,); for `outside_lungs`, beside the latter (`scores`) where the lungs are (`maps`), as the squares.
        """
        part = slice(first_epoch * self.steps, end_epoch * self.steps)
        numbers = tf.data.Dataset.range(part.start, part.stop)
        rows = tf.data.Dataset.zip(numbers, tf.data.Dataset.from_tensor_slices(self.order[part]))
        load = partial(self._load, size=size)
        return rows.map(load, num_parallel_calls=2, deterministic=True).prefetch(4)

    def _load(self, number: tf.Tensor, positions: tf.Tensor, size: int) -> tuple[tf.Tensor, Any]:
        square = _sized(tf.gather(self.pixels, positions), size)
        key = tf.stack([tf.constant(self.seed, tf.int32), tf.cast(number, tf.int32)])
        label: Any = tf.gather(self.classes, positions)
        if self.lungs is not None:
            lung = _sized(tf.gather(self.lungs, positions), size)
            if self.augmentation.other_surroundings:
                square = _in_other_surroundings(
                    square, lung, share=self.augmentation.other_surroundings, key=key
                )
            if self.tells_lungs:
                # The same key moves the lungs as it moves the image.
                label = {SCORES: label, MAPS: augment(lung, self.augmentation.moves, key)}
        return augment(square, self.augmentation, key), label


def _sized(pixels: tf.Tensor, size: int) -> tf.Tensor:
    """Squares uint8 (n, side, side) as float32 (n, size, size, 1) in 0..1."""
    square = tf.cast(pixels, tf.float32)[..., tf.newaxis] / 255
    if pixels.shape[-1] != size:
        square = tf.image.resize(square, (size, size), antialias=True)
    return tf.ensure_shape(square, (None, size, size, 1))


def _in_other_surroundings(
    squares: tf.Tensor, lungs: tf.Tensor, *, share: float, key: tf.Tensor
) -> tf.Tensor:
    """Lay the lungs of a share of the images into the picture of the next of the batch, brought to their grey."""
    other = tf.roll(squares, 1, axis=0)
    mean, variance = tf.nn.moments(squares, [1, 2], keepdims=True)
    other_mean, other_variance = tf.nn.moments(other, [1, 2], keepdims=True)
    scale = tf.sqrt((variance + 1e-4) / (other_variance + 1e-4))
    matched = tf.clip_by_value((other - other_mean) * scale + mean, 0.0, 1.0)
    unit = tf.random.stateless_uniform([tf.shape(squares)[0], 1, 1, 1], tf.add(key, [0, 83 << 24]))
    return tf.where(unit < share, lungs * squares + (1 - lungs) * matched, squares)


def fixed_batches(
    images: np.ndarray, labels: np.ndarray, weights: np.ndarray, batch: int, size: int, *, lungs: bool = False
) -> tf.data.Dataset:
    """Batches for validation, in order and unchanged but for their size: pixels as above, class numbers, weight
    of each image. With `lungs` in the form of a training that asks for them, with nothing outside of them.
    """
    rows = tf.data.Dataset.from_tensor_slices((images, labels.astype(np.int32), weights.astype(np.float32)))

    def load(pixels: tf.Tensor, label: tf.Tensor, weight: tf.Tensor) -> tuple[tf.Tensor, Any, Any]:
        square = _sized(pixels, size)
        if not lungs:
            return square, label, weight
        return square, {SCORES: label, MAPS: tf.ones_like(square)}, {SCORES: weight, MAPS: weight}

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
    if change.low_resolution:
        blurred = _low_resolution(blurred, share=change.low_resolution, key=key, draw=draw(10))
    if change.local_contrast:
        around = _surroundings(blurred)
        blurred = tf.clip_by_value(
            blurred + each(draw(12) * change.local_contrast) * (blurred - around), 0.0, 1.0
        )
    bent = tf.pow(tf.maximum(blurred, 1e-6), each(tf.exp(draw(7) * change.gamma)))
    noise = tf.random.stateless_normal(tf.shape(bent), tf.add(key, [0, 8 << 24])) * each(
        tf.maximum(draw(9), 0.0) * change.noise
    )
    result = tf.clip_by_value(bent + noise, 0.0, 1.0)
    if change.border:
        greys, widths = _units([draw(13), draw(14)]), [draw(number) for number in range(15, 19)]
        result = _framed(result, widths=[width * change.border for width in widths], greys=greys)
    for number in range(change.patches):
        first = 20 + 6 * number
        result = _patched(result, _units([draw(first + step) for step in range(6)]))
    if change.jpeg:
        result = _compressed(result, share=change.jpeg, draws=(draw(80), draw(81)))
    result.set_shape([None, size, size, 1])
    return result


def _units(draws: list[tf.Tensor]) -> list[tf.Tensor]:
    """Draws out of -1..1, as 0..1."""
    return [(draw + 1) / 2 for draw in draws]


def _surroundings(squares: tf.Tensor) -> tf.Tensor:
    """The mean over about an eighth of the side around each place."""
    size = squares.shape[1]
    step = max(size // 16, 1)
    small = tf.nn.avg_pool2d(squares, 2 * step, step, "SAME")
    return tf.image.resize(small, (size, size), "bilinear")


def _low_resolution(squares: tf.Tensor, *, share: float, key: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """Shrink and enlarge a share of the images, all of one batch by the same factor."""
    size = squares.shape[1]
    unit = tf.random.stateless_uniform([], tf.add(key, [0, 82 << 24]))
    side = tf.cast(tf.round(size * (0.5 + 0.5 * unit)), tf.int32)
    coarse = tf.image.resize(
        tf.image.resize(squares, tf.stack([side, side]), "bilinear", antialias=True), (size, size), "bilinear"
    )
    chosen = tf.reshape((draw + 1) / 2 < share, [-1, 1, 1, 1])
    return tf.where(chosen, coarse, squares)


def _framed(squares: tf.Tensor, *, widths: list[tf.Tensor], greys: list[tf.Tensor]) -> tf.Tensor:
    """Lay a frame over each image; a width below 0 leaves its side free. Half of the frames are black."""
    along = tf.reshape((tf.range(squares.shape[1], dtype=tf.float32) + 0.5) / squares.shape[1], [1, -1])
    near_x, far_x, near_y, far_y = (width[:, tf.newaxis] for width in widths)
    columns = (along < near_x) | (along > 1 - far_x)
    rows = (along < near_y) | (along > 1 - far_y)
    inside = (columns[:, tf.newaxis, :] | rows[:, :, tf.newaxis])[..., tf.newaxis]
    grey = tf.where(greys[0] < 0.5, 0.0, greys[1])
    return tf.where(inside, tf.reshape(grey, [-1, 1, 1, 1]), squares)


def _patched(squares: tf.Tensor, units: list[tf.Tensor]) -> tf.Tensor:
    """Lay one rectangle of 4 to 18 % of the side into a corner's fifth of each image."""
    along = tf.reshape((tf.range(squares.shape[1], dtype=tf.float32) + 0.5) / squares.shape[1], [1, -1])
    x, y, width, height, corner, grey = units
    right, low = tf.cast(corner > 0.5, tf.float32), tf.cast((corner * 4) % 2 > 1, tf.float32)

    def between(start: tf.Tensor, length: tf.Tensor, far: tf.Tensor) -> tf.Tensor:
        middle = (far + (1 - 2 * far) * start * 0.2)[:, tf.newaxis]
        return tf.abs(along - middle) < (0.02 + 0.07 * length)[:, tf.newaxis]

    inside = between(y, height, low)[:, :, tf.newaxis] & between(x, width, right)[:, tf.newaxis, :]
    return tf.where(inside[..., tf.newaxis], tf.reshape(grey, [-1, 1, 1, 1]), squares)


def _compressed(squares: tf.Tensor, *, share: float, draws: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Compress a share of the images as JPEG of quality 25 to 95."""
    chosen, quality = (draws[0] + 1) / 2 < share, tf.cast(25 + 35 * (draws[1] + 1), tf.int32)

    def one(parts: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        square, wanted, level = parts
        return tf.cond(wanted, lambda: tf.image.adjust_jpeg_quality(square, level), lambda: square)

    return tf.map_fn(one, (squares, chosen, quality), fn_output_signature=tf.float32)
