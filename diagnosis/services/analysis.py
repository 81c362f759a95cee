"""Run one analysis from the stored file to the stored opinion."""

from __future__ import annotations

import logging
import uuid

from billiard.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError

from diagnosis import inference
from diagnosis.services.accounts import system_user
from diagnosis.services.predictions import (
    prediction_claim,
    prediction_fail,
    prediction_record,
    prediction_refuse,
)
from diagnosis.services.renderings import renderings_make
from ml.imaging import ImageRefused

logger = logging.getLogger(__name__)

TOOK_TOO_LONG = "The analysis took too long and was stopped. The image itself can be read; press “Run again” to try once more."


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
    pixels = None
    if prediction.model_version.sha256 != model.sha256:
        prediction_fail(
            actor=actor,
            prediction=prediction,
            reason=f"This analysis asks for {prediction.model_version}, and the worker holds {model.name} {model.version}. "
            "Ask an administrator to start the workers with the active model, then press “Run again”.",
        )
        return
    try:
        with prediction.image.file.open("rb") as file:
            pixels = inference.read(file.read())
        prediction_record(actor=actor, prediction=prediction, output=inference.analyse(pixels))
    except ImageRefused as refusal:
        prediction_refuse(actor=actor, prediction=prediction, code=refusal.code, reason=str(refusal))
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
            reason="The analysis failed for a technical reason. The image itself can be read; press “Run again”, and if it "
            f"fails again tell an administrator the error number {error_id}.",
        )
    if pixels is not None:
        # After the opinion, for which somebody may be waiting; decoded once for both.
        renderings_make(stored=prediction.image, pixels=pixels)
