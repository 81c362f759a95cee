"""Where the network looked, as a picture."""

from __future__ import annotations

import numpy as np
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from diagnosis import inference
from diagnosis.errors import Conflict
from diagnosis.models import Prediction


def heat_map_of(prediction: Prediction, label: str) -> NDArray[np.float32]:
    """Where the network looked for ``label``: float32 (224, 224) in 0..1, aligned with the image stretched to a square.

    Raises ``KeyError`` when the model does not know the label, and ``Conflict`` when the analysis has no result (yet).
    """
    codes = [known["code"] for known in prediction.model_version.labels]
    if label not in codes:
        raise KeyError(label)
    if prediction.activation_maps is None:
        status = prediction.get_status_display().lower()
        raise Conflict(
            _("There is no heat map: the analysis is “%(status)s”. Only a finished analysis has one.")
            % {"status": status}
        )
    return inference.heat_map(
        activation_maps=bytes(prediction.activation_maps), card=prediction.model_version.card, label=label
    )
