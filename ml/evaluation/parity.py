"""Whether two runtimes give the same answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ml.serving.model import OUTPUTS, ServedModel

TOLERANCE = 1e-4


class RuntimesDifferError(RuntimeError):
    """The exported network does not give what the trained one gives."""


def runtime_parity(
    served: ServedModel, reference: ServedModel, images: Iterable[np.ndarray]
) -> dict[str, Any]:
    """The largest difference between two runtimes of a model over `images`, grey (rows, columns) in 0..1.

    Scores are compared as they are; maps and features relative to the largest value of each image's (at least
    1). Raises RuntimesDifferError above 1e-4.
    """
    worst, count = dict.fromkeys(OUTPUTS, 0.0), 0
    for count, pixels in enumerate(images, start=1):  # noqa: B007
        network_input = served.preprocessing(pixels)
        for name, given, expected in zip(
            OUTPUTS, served.run(network_input), reference.run(network_input), strict=True
        ):
            scale = 1.0 if name == "scores" else max(1.0, float(np.abs(expected).max(initial=0)))
            worst[name] = max(worst[name], float(np.abs(given - expected).max(initial=0)) / scale)
    if max(worst.values()) > TOLERANCE:
        raise RuntimesDifferError(
            f"The export differs from Keras by {worst}; at most {TOLERANCE} is accepted."
        )
    return {"images": count, "largest_difference": worst}
