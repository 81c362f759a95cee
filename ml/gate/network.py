"""The gate's network: small, because it runs before every prediction, and coarse, because form is all it needs."""

from __future__ import annotations

import keras
from keras import layers

from ml.gate.drawings import SIZE

SCORES, FEATURES = "scores", "features"
STEM, WIDTHS = 16, (32, 32, 64, 64, 80, 80)


def build_gate(n_classes: int, size: int = SIZE) -> keras.Model:
    """Input float32 (batch, size, size, 1) in 0..1; outputs `scores` (batch, n_classes), a softmax over
    `ml.gate.kinds.CLASSES`, and `features` (batch, 80), the layer before.
    """
    image = keras.Input((size, size, 1), name="image")
    # Each image to mean 0 and deviation 1: what a thing is does not depend on its window.
    mean, variance = keras.ops.moments(image, axes=[1, 2, 3], keepdims=True)
    x = (image - mean) * keras.ops.rsqrt(variance + 1e-5)
    x = _convolution(x, STEM, 5, 2)
    for number, width in enumerate(WIDTHS):
        x = _convolution(x, width, 3, 2 if number % 2 == 0 else 1)
    features = layers.GlobalAveragePooling2D(name=FEATURES, dtype="float32")(x)
    logits = layers.Dense(n_classes, dtype="float32")(layers.Dropout(0.2)(features))
    scores = layers.Softmax(name=SCORES, dtype="float32")(logits)
    return keras.Model(image, {SCORES: scores, FEATURES: features}, name="cxr_gate")


def _convolution(x: keras.KerasTensor, width: int, kernel: int, stride: int) -> keras.KerasTensor:
    x = layers.Conv2D(
        width, kernel, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(x))
