"""The residual network. Scores, class-activation maps and features come from one forward pass."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

SCORES, MAPS, FEATURES = "scores", "maps", "features"


def _normalised(x: keras.KerasTensor, name: str, *, activate: bool = True) -> keras.KerasTensor:
    x = layers.BatchNormalization(momentum=0.95, name=f"{name}_norm")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x) if activate else x


def _block(x: keras.KerasTensor, width: int, stride: int, name: str) -> keras.KerasTensor:
    def convolution(x: keras.KerasTensor, kernel: int, stride: int, part: str) -> keras.KerasTensor:
        return layers.Conv2D(
            width,
            kernel,
            strides=stride,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"{name}_{part}",
        )(x)

    shortcut = x
    if stride != 1 or x.shape[-1] != width:
        if stride != 1:
            shortcut = layers.AveragePooling2D(stride, padding="same", name=f"{name}_pool")(shortcut)
        shortcut = _normalised(convolution(shortcut, 1, 1, "shortcut"), f"{name}_shortcut", activate=False)
    y = _normalised(convolution(x, 3, stride, "conv1"), f"{name}_conv1")
    y = _normalised(convolution(y, 3, 1, "conv2"), f"{name}_conv2", activate=False)
    return layers.Activation("relu", name=f"{name}_relu")(layers.Add(name=f"{name}_add")([shortcut, y]))


@keras.saving.register_keras_serializable("cxr_portal")
class StyleMixing(layers.Layer):
    """While training, gives each image in part the channel means and deviations of another of the batch.

    They carry exposure, device and processing more than form (MixStyle, Zhou et al. 2021, "Domain generalization
    with MixStyle", with its mixture Beta(0.1, 0.1)). `share`: of the batches. Adds no weight.
    """

    def __init__(self, share: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share = share
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, x: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        if not training:
            return x
        ops, seed = keras.ops, self.seed_generator
        full = ops.cast(x, "float32")
        mean, variance = ops.moments(full, axes=[1, 2], keepdims=True)
        deviation = ops.sqrt(variance + 1e-6)
        both = ops.stop_gradient(ops.concatenate([mean, deviation], axis=-1))
        other = keras.random.shuffle(both, axis=0, seed=seed)
        batch = ops.shape(x)[0]
        own = keras.random.beta((batch, 1, 1, 1), 0.1, 0.1, dtype="float32", seed=seed)
        chosen = ops.cast(keras.random.uniform((1, 1, 1, 1), seed=seed) < self.share, "float32")
        own = own * chosen + 1 - chosen
        mixed_mean, mixed_deviation = ops.split(own * both + (1 - own) * other, 2, axis=-1)
        return ops.cast((full - mean) / deviation * mixed_deviation + mixed_mean, x.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "share": self.share}


def build_network(
    *,
    size: int | None,
    n_classes: int,
    stem: int,
    widths: list[int],
    blocks: list[int],
    dropout: float,
    style_mixing: float = 0.0,
) -> keras.Model:
    """A residual network for one grey image.

    Input: float32 (batch, size, size, 1) in 0..1; without a `size` any square. Outputs: `scores` (batch,
    n_classes), a softmax; `features` (batch, widths[-1]), the mean over all places of what the last stage
    found; `maps` (batch, h, w, n_classes), the logit that each place adds. The mean of a class's map over all places is
    that class's logit (Zhou et al. 2016, "Learning deep features for discriminative localization"), so the
    map shown to a reader is the very quantity that made the score, not an after-the-fact estimate of it. A
    softmax does not see what is added to all classes alike; the maps are therefore taken against the mean of
    all classes. So 0 means "no evidence either way", and the map of the class with the highest score always
    has a positive place.

    `stem`: channels after the first convolution; `widths` and `blocks`: channels and residual blocks of each
    stage, every stage halving the image; `style_mixing`: the share of training batches for `StyleMixing` after the
    stem and the first stage.
    """
    image = keras.Input((size, size, 1), name="image")
    # Each image to mean 0 and deviation 1: exposure, window and contrast tell hospitals apart better than
    # diseases.
    mean, variance = keras.ops.moments(image, axes=[1, 2, 3], keepdims=True)
    x = (image - mean) * keras.ops.rsqrt(variance + 1e-5)
    x = layers.Conv2D(
        stem, 5, strides=2, padding="same", use_bias=False, kernel_initializer="he_normal", name="stem"
    )(x)
    x = _normalised(x, "stem")
    if style_mixing:
        x = StyleMixing(style_mixing, name="stem_style")(x)
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        for index in range(count):
            x = _block(x, width, 2 if index == 0 else 1, f"stage{stage}_block{index + 1}")
        if style_mixing and stage == 1:
            x = StyleMixing(style_mixing, name="stage1_style")(x)
    features = layers.GlobalAveragePooling2D(name=FEATURES, dtype="float32")(x)
    x = layers.SpatialDropout2D(dropout, name="dropout")(x)
    # Under mixed precision too, what is shown and decided on is computed in full.
    maps = layers.Conv2D(n_classes, 1, name="evidence", dtype="float32")(x)
    maps = maps - keras.ops.mean(maps, axis=-1, keepdims=True)
    logits = layers.GlobalAveragePooling2D(name="logits", dtype="float32")(maps)
    scores = layers.Softmax(name=SCORES, dtype="float32")(logits)
    return keras.Model(image, {SCORES: scores, MAPS: maps, FEATURES: features}, name="cxr_residual")
