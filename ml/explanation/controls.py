"""What a map must beat: places that know nothing of the image, or no more than where its lungs are."""

from __future__ import annotations

import keras
import numpy as np
from scipy import ndimage

from ml.explanation.cases import Cases

# Lesions of other patients, summed up, have plateaus; a little blur (pixels of 224) leaves one highest place.
BLUR = 7


def _points(places: list[tuple[int, int]], shape: tuple[int, ...]) -> np.ndarray:
    maps = np.zeros((len(places), *shape[1:]), np.float32)
    for heat, place in zip(maps, places, strict=True):
        heat[place] = 1
    return maps


def centre(cases: Cases) -> np.ndarray:
    """The middle of the image."""
    _, rows, columns = cases.lesions.shape
    return _points([(rows // 2, columns // 2)] * len(cases), cases.lesions.shape)


def lungs_centroid(cases: Cases) -> np.ndarray:
    """The centre of gravity of both outlined lungs: mostly between them."""
    places = [tuple(np.rint(ndimage.center_of_mass(lungs)).astype(int)) for lungs in cases.lungs]
    return _points(places, cases.lungs.shape)


def depth_in_lung(cases: Cases) -> np.ndarray:
    """How far each place of the outlined lungs lies from their rim; strongest in the middle of the wider lung."""
    maps = np.stack([ndimage.distance_transform_edt(lungs) for lungs in cases.lungs]).astype(np.float32)
    # Of places equally deep the first, so that no tie counts against the control.
    for heat in maps:
        heat.flat[heat.argmax()] *= 1.001
    return maps


def others_lesions(cases: Cases) -> np.ndarray:
    """Where the lesions of all other patients lie, and so the best fixed place that can be known without the
    case: the strongest place of a map that never looked at the image.
    """
    blurred = np.stack(
        [ndimage.gaussian_filter(lesions.astype(np.float32), BLUR) for lesions in cases.lesions]
    )
    return np.stack([blurred[cases.groups != group].mean(axis=0) for group in cases.groups])


# Those whose map is a single place have no mass to speak of.
POINTS = {"centre of the image": centre, "centre of gravity of the lungs": lungs_centroid}
MAPS = {
    "best fixed place": others_lesions,
    "deepest place in the lungs": depth_in_lung,
}


def randomised(network: keras.Model, seed: int, only: str | None = None) -> keras.Model:
    """The same network with weights drawn anew (He et al. 2015; normalisations as before any training), or with those
    of the layer `only`.
    """
    random = np.random.default_rng(seed)
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    for layer in copy.layers:
        if only is not None and layer.name != only:
            continue
        for variable in layer.weights:
            name, shape = variable.name, tuple(variable.shape)
            if name == "kernel":
                deviation = np.sqrt(2 / np.prod(shape[:-1]))
                variable.assign(random.normal(0, deviation, shape).astype(np.float32))
            elif variable.dtype == "float32":
                variable.assign(np.full(shape, name in ("gamma", "moving_variance"), np.float32))
    return copy
