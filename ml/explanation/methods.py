"""Five ways to ask a network where it looked, each a few lines on top of TensorFlow.

Each takes an `Explained` network, images and a class, and gives a raw map for each image: float32 (n, rows,
columns), positive where a place speaks for the class, on the grid that the method works on. `ml.explanation.maps`
makes of it what is shown.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from scipy import ndimage

from ml.serving.folder import KERAS, ModelFolder

# Images in one pass; bounds the memory.
BATCH = 32
# Of the path of integrated gradients: the error of the sum over all places is then some per cent, which the test of
# completeness bounds.
STEPS = 12
# The blurred image that stands for "nothing to see": a Gaussian of this share of the side.
BASELINE_BLUR = 1 / 10
# Occlusion hides one square around the middle of each cell of a grid; its side in cells.
GRID, WINDOW = 8, 2


class Explained:
    """A network taken apart at its last feature maps.

    `network`: as `ml.training.network.build_network` gives it: the layer `evidence` turns the last feature maps into
    the output `maps`, and the mean of a class's map is its logit. The logit, not the score after the softmax, is what
    every method explains: a saturated score has no gradient.
    """

    def __init__(self, network: keras.Model) -> None:
        self.network = network
        self.size = network.input_shape[1]
        evidence = network.get_layer("evidence")
        parts = keras.Model(network.input, {"places": evidence.input, "maps": network.output["maps"]})
        rest = keras.Model(evidence.input, network.output["maps"])

        @tf.function(reduce_retracing=True)
        def forward(images: tf.Tensor) -> dict[str, tf.Tensor]:
            return parts(images, training=False)

        @tf.function(reduce_retracing=True)
        def place_gradients(images: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            places = parts(images, training=False)["places"]
            with tf.GradientTape() as tape:
                tape.watch(places)
                logit = tf.reduce_mean(tf.gather(rest(places, training=False), label, axis=-1), axis=[1, 2])
            return places, tape.gradient(logit, places)

        @tf.function(reduce_retracing=True)
        def image_gradients(images: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(images)
                maps = parts(images, training=False)["maps"]
                logit = tf.reduce_mean(tf.gather(maps, label, axis=-1), axis=[1, 2])
            return tape.gradient(logit, images)

        self._forward, self._place_gradients, self._image_gradients = (
            forward,
            place_gradients,
            image_gradients,
        )

    @classmethod
    def open(cls, folder: Path) -> Explained:
        """The network of a model folder, every file of it verified. Raises as `ModelFolder.open` does."""
        content = ModelFolder.open(folder).contents[KERAS]
        # Keras reads a path: give it the verified bytes, not the file, which may have changed since.
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / KERAS
            copy.write_bytes(content)
            return cls(keras.models.load_model(copy, compile=False))

    def maps(self, images: np.ndarray) -> np.ndarray:
        """Images float32 (n, size, size, 1) in 0..1 to the evidence of every class: (n, rows, columns, n_classes)."""
        parts = [self._forward(tf.constant(batch))["maps"].numpy() for batch in _batches(images)]
        return np.concatenate(parts)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Images to (n, n_classes)."""
        return self.maps(images).mean(axis=(1, 2))

    def place_gradients(self, images: np.ndarray, label: int) -> tuple[np.ndarray, np.ndarray]:
        """The last feature maps (n, rows, columns, channels), and the logit's gradient at them."""
        parts = [self._place_gradients(tf.constant(b), tf.constant(label)) for b in _batches(images)]
        places, gradients = zip(*parts, strict=True)
        return np.concatenate(places), np.concatenate(gradients)

    def image_gradients(self, images: np.ndarray, label: int) -> np.ndarray:
        """The logit's gradient at each pixel: (n, size, size)."""
        parts = [self._image_gradients(tf.constant(b), tf.constant(label)) for b in _batches(images)]
        return np.concatenate(parts)[..., 0]


Method = Callable[[Explained, np.ndarray, int], np.ndarray]


def class_activation(explained: Explained, images: np.ndarray, label: int) -> np.ndarray:
    """The logit that each place adds, from the forward pass alone: the map that is served (Zhou et al. 2016,
    "Learning deep features for discriminative localization").
    """
    return explained.maps(images)[..., label]


def grad_cam(explained: Explained, images: np.ndarray, label: int) -> np.ndarray:
    """Feature maps weighed by the mean gradient of the logit at them (Selvaraju et al. 2017, "Grad-CAM").

    For a network that averages its feature maps and weighs them, it is the class-activation map without the constant
    that the bias adds to every place, divided by the number of places (shown there in their section 3.1).
    """
    places, gradients = explained.place_gradients(images, label)
    return np.einsum("nhwc,nc->nhw", places, gradients.mean(axis=(1, 2)))


def grad_cam_plus_plus(explained: Explained, images: np.ndarray, label: int) -> np.ndarray:
    """Like Grad-CAM, with only the positive gradients, weighed by equations 10 and 19 of Chattopadhay et al. 2018,
    "Grad-CAM++".

    As there, the score is the exponential of the logit, whose higher derivatives are powers of the first; its own
    value is a factor of the whole map and left out.
    """
    places, gradients = explained.place_gradients(images, label)
    square, cube = gradients**2, gradients**3
    bottom = 2 * square + places.sum(axis=(1, 2), keepdims=True) * cube
    weights = np.divide(square, bottom, out=np.zeros_like(square), where=bottom != 0)
    return np.einsum("nhwc,nc->nhw", places, (weights * np.maximum(gradients, 0)).sum(axis=(1, 2)))


def integrated_gradients(explained: Explained, images: np.ndarray, label: int) -> np.ndarray:
    """The logit's change from a blurred copy of the image to the image, shared out among the pixels (Sundararajan et
    al. 2017, "Axiomatic attribution for deep networks"): their sum is that change.

    A black or grey start would explain nothing here: the network standardises each image, so that everything on the
    way from one grey to the image looks the same to it. The blurred copy keeps exposure and loses every detail
    (Sturmfels et al. 2020, "Visualizing the impact of feature attribution baselines").
    """
    start = ndimage.gaussian_filter(
        images, (0, BASELINE_BLUR * images.shape[1], BASELINE_BLUR * images.shape[1], 0)
    )
    total = np.zeros(images.shape[:3], np.float32)
    for step in range(STEPS):
        share = np.float32((step + 0.5) / STEPS)
        total += explained.image_gradients(start + share * (images - start), label)
    return (images - start)[..., 0] * total / STEPS


def occlusion(explained: Explained, images: np.ndarray, label: int) -> np.ndarray:
    """How far the logit falls when a square of the image's mean grey hides the surroundings of each of 8 x 8 places
    (Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks").
    """
    size = images.shape[1]
    reach = (WINDOW - 1) / 2
    starts = [max(0, round((cell - reach) * size / GRID)) for cell in range(GRID)]
    ends = [round((cell + 1 + reach) * size / GRID) for cell in range(GRID)]
    sides = list(zip(starts, ends, strict=True))
    result = np.empty((len(images), GRID, GRID), np.float32)
    for fall, image in zip(result, images, strict=True):
        hidden = np.repeat(image[np.newaxis], GRID * GRID + 1, axis=0)
        squares = [(rows, columns) for rows in sides for columns in sides]
        for copy, ((top, bottom), (left, right)) in zip(hidden[1:], squares, strict=True):
            copy[top:bottom, left:right] = image.mean()
        logits = explained.logits(hidden)[:, label]
        fall[:] = (logits[0] - logits[1:]).reshape(GRID, GRID)
    return result


METHODS: dict[str, Method] = {
    "cam": class_activation,
    "grad-cam": grad_cam,
    "grad-cam++": grad_cam_plus_plus,
    "integrated-gradients": integrated_gradients,
    "occlusion": occlusion,
}


def _batches(images: np.ndarray) -> list[np.ndarray]:
    return [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
