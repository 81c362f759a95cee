"""Run one analysis from the stored file to the stored opinion."""

from __future__ import annotations

import functools
import logging
import uuid
from collections.abc import Callable

import numpy as np
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError
from django.utils.translation import gettext_noop
from numpy.typing import NDArray

from diagnosis import inference
from diagnosis.intake.refused import refusal_sentence
from diagnosis.models import Image
from diagnosis.sentences import Sentence
from diagnosis.services.accounts import system_user
from diagnosis.services.predictions import (
    prediction_claim,
    prediction_fail,
    prediction_record,
    prediction_refuse,
)
from diagnosis.services.reduced import reduced_drop, reduced_of
from diagnosis.services.renderings import renderings_make
from ml.imaging import ImageRefused

logger = logging.getLogger(__name__)

TOOK_TOO_LONG = Sentence(
    gettext_noop(
        "The analysis took too long and was stopped. The image itself can be read; press “Run again” to try once more."
    )
)


def analysis_run(*, prediction_id: str) -> None:
    """Claim the prediction and bring it to an end. Safe to run twice: the second run finds nothing to claim.

    While this worker's model or gate is missing or altered nothing is claimed: the prediction stays queued and is tried
    again.
    A lost database connection leaves the lease to run out, after which the analysis is taken up again.
    """
    try:
        model = inference.served_model()
        inference.served_gate()
    except (inference.ModelIntegrityError, OSError):
        logger.exception("The model cannot be used; analyses stay queued.")
        return
    prediction = prediction_claim(prediction_id=prediction_id)
    if prediction is None:
        return
    actor = system_user()
    if prediction.model_version.sha256 != model.sha256:
        prediction_fail(
            actor=actor,
            prediction=prediction,
            reason=Sentence(
                gettext_noop(
                    "This analysis asks for {model_version}, and the worker holds {name} {version}. Ask an "
                    "administrator to start the workers with the active model, then press “Run again”."
                ),
                model_version=str(prediction.model_version),
                name=model.name,
                version=model.version,
            ),
        )
        return
    image = prediction.image
    squares = reduced_of(image)
    pixels: Callable[[], NDArray[np.float32]] | None = None
    try:
        if squares is not None and inference.takes(squares):
            pixels = functools.partial(_pixels, image)
            output = inference.analyse_reduced(squares, rows=image.rows or 0, columns=image.columns or 0)
        else:
            decoded = _pixels(image)
            pixels = lambda: decoded  # noqa: E731
            output = inference.analyse(decoded)
        prediction_record(actor=actor, prediction=prediction, output=output)
    except ImageRefused as refusal:
        prediction_refuse(
            actor=actor, prediction=prediction, code=refusal.code, reason=refusal_sentence(refusal)
        )
    except SoftTimeLimitExceeded:
        prediction_fail(actor=actor, prediction=prediction, reason=TOOK_TOO_LONG)
    except DatabaseError:
        raise
    except Exception:
        error_id = uuid.uuid4().hex[:8]
        logger.exception("Analysis failed.", extra={"error_id": error_id, "prediction": prediction_id})
        prediction_fail(
            actor=actor,
            prediction=prediction,
            reason=Sentence(
                gettext_noop(
                    "The analysis failed for a technical reason. The image itself can be read; press “Run again”, "
                    "and if it fails again tell an administrator the error number {error_id}."
                ),
                error_id=error_id,
            ),
        )
    if squares is not None:
        reduced_drop(sha256=image.sha256)
    if pixels is not None:
        # After the opinion, for which somebody may be waiting.
        renderings_make(stored=image, pixels=pixels)


def _pixels(image: Image) -> NDArray[np.float32]:
    """Raises ``ImageRefused``."""
    with image.file.open("rb") as file:
        return inference.read(file.read())
