"""A small network that outlines the lungs, for controls that show a classifier only the lungs or all but them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from scipy import ndimage
from tqdm import tqdm

from ml.data.manifest import read_grey
from ml.preprocessing import Preprocessing
from ml.training.config import Augmentation
from ml.training.pipeline import augment
from ml.training.work import MASKS

log = logging.getLogger(__name__)

SIDE = 96
WIDTHS = (12, 24, 32, 48)
BATCH = 12
# A fifth of the outlined cases is never trained on and gives the published figure.
HELD_OUT = 0.2
# Image and outline move alike; only the image changes its greys.
MOVES = Augmentation(rotation_degrees=12, shift=0.1, zoom=0.25)
GREYS = Augmentation(
    gamma=0.6, blur=0.7, noise=0.06, local_contrast=0.8, low_resolution=0.3, border=0.08, patches=2
)
# An outline drawn a little too tight would hide the lungs' rim from "only the lungs" and show it to "all but them".
MARGIN = 2


def read_cases(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images and lung outlines of `covid-segmentation`: float32 (n, SIDE, SIDE, 1) in 0..1 each."""
    root = data / "covid-segmentation"
    if not (root / "lungs").is_dir():
        raise FileNotFoundError(f"{data} holds no covid-segmentation/lungs/ with outlines of the lungs.")
    square = Preprocessing(size=SIDE).square
    outlines = sorted((root / "lungs").glob("*.png"))
    images = [square(read_grey((root / "images" / f"{path.stem}.jpg").read_bytes())) for path in outlines]
    lungs = [square(read_grey(path.read_bytes())) for path in outlines]
    return np.stack(images)[..., np.newaxis], np.stack(lungs)[..., np.newaxis]


def build_outliner() -> keras.Model:
    """A U-Net (Ronneberger 2015): image (n, SIDE, SIDE, 1) in 0..1 to the probability of lung at each place."""

    def convolution(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    image = keras.Input((SIDE, SIDE, 1))
    x = layers.LayerNormalization(axis=[1, 2, 3], center=False, scale=False)(image)
    skips = []
    for width in WIDTHS:
        x = convolution(convolution(x, width), width)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = convolution(layers.Dropout(0.2)(convolution(x, 64)), 64)
    for width, skip in zip(reversed(WIDTHS), reversed(skips), strict=True):
        x = layers.UpSampling2D(interpolation="bilinear")(x)
        x = convolution(layers.Concatenate()([x, skip]), width)
    return keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid")(x), name="lungs")


def dice(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Overlap of each pair of outlines, 0..1 (Dice 1945), of two arrays (n, rows, columns, 1) cut at one half."""
    a, b = found > 0.5, truth > 0.5
    both = (a & b).sum(axis=(1, 2, 3))
    return 2 * both / np.maximum(a.sum(axis=(1, 2, 3)) + b.sum(axis=(1, 2, 3)), 1)


def train_outliner(
    images: np.ndarray, lungs: np.ndarray, *, steps: int = 1000, seed: int = 1
) -> tuple[keras.Model, np.ndarray]:
    """Train on four fifths of the cases; returns the network and the overlap of each case held out."""
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    order = random.permutation(len(images))
    held = order[: max(1, round(len(images) * HELD_OUT))]
    rest = order[len(held) :]
    network = build_outliner()
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01)
    optimizer.build(network.trainable_variables)

    @tf.function
    def step(image: tf.Tensor, lung: tf.Tensor, key: tf.Tensor) -> None:
        image, lung = augment(augment(image, MOVES, key), GREYS, key), augment(lung, MOVES, key)
        with tf.GradientTape() as tape:
            found = network(image, training=True)
            overlap = (2 * tf.reduce_sum(lung * found) + 1) / (tf.reduce_sum(lung) + tf.reduce_sum(found) + 1)
            loss = tf.reduce_mean(keras.losses.binary_crossentropy(lung, found)) + 1 - overlap
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    for number in tqdm(range(steps), desc="lungs", unit="batch"):
        chosen = random.choice(rest, BATCH)
        step(tf.constant(images[chosen]), tf.constant(lungs[chosen]), tf.constant([seed, number]))
    return network, dice(network(images[held], training=False).numpy(), lungs[held])


def masks(network: Callable[..., tf.Tensor], squares: np.ndarray) -> np.ndarray:
    """Where the lungs are in squares uint8 (n, size, size): uint8 (n, SIDE, SIDE), 255 inside, no margin."""
    result = np.empty((len(squares), SIDE, SIDE), np.uint8)
    for start in range(0, len(squares), 64):
        batch = tf.cast(squares[start : start + 64, ..., np.newaxis], tf.float32) / 255
        found = network(tf.image.resize(batch, (SIDE, SIDE), antialias=True), training=False)
        result[start : start + 64] = np.rint(found.numpy()[..., 0] * 255)
    return result


def widened(lungs: np.ndarray) -> np.ndarray:
    """Masks uint8 (n, SIDE, SIDE) cut at one half and grown by the margin of 2 of 96: 255 inside, 0 outside."""
    grow = ndimage.generate_binary_structure(2, 1)[np.newaxis]
    return ndimage.binary_dilation(lungs > 127, grow, iterations=MARGIN).astype(np.uint8) * np.uint8(255)


def outlines(network: Callable[..., tf.Tensor], squares: np.ndarray) -> np.ndarray:
    """Where the lungs are in squares uint8 (n, size, size): bool (n, size, size), with a margin of 2 of 96."""
    size = squares.shape[1]
    result = np.empty(squares.shape, bool)
    for start in range(0, len(squares), 64):
        small = masks(network, squares[start : start + 64])[..., np.newaxis]
        found = tf.image.resize(small, (size, size)).numpy()[..., 0] > 127.5
        for number, mask in enumerate(found, start=start):
            result[number] = ndimage.binary_dilation(mask, iterations=max(1, round(MARGIN * size / SIDE)))
    return result


def lungs_of(squares: np.ndarray, data: Path, work: Path) -> np.ndarray:
    """The `widened` masks of squares uint8 (n, size, size), by an outliner trained on the cases in `data`.

    Kept in `work`, so that an interrupted run goes on with the same ones.
    """
    kept = work / MASKS
    if not kept.exists():
        network, overlap = train_outliner(*read_cases(data))
        log.info("lungs outlined with an overlap of %.3f on the cases held out", overlap.mean())
        found = widened(masks(network, squares))
        temporary = kept.with_name(f"tmp-{kept.name}")
        np.save(temporary, found)
        temporary.replace(kept)
    return np.load(kept)


def fill(squares: np.ndarray, shown: np.ndarray, lungs: np.ndarray) -> np.ndarray:
    """Show of squares uint8 (n, size, size) only the places `shown`; the others get the mean grey of `lungs`.

    The mean of the lungs alone, so that what is hidden does not speak through the grey that hides it.
    """
    result = squares.copy()
    for number, (image, seen, lung) in enumerate(zip(squares, shown, lungs, strict=True)):
        grey = round(float(image[lung].mean())) if lung.any() else 127
        result[number] = np.where(seen, image, np.uint8(grey))
    return result
