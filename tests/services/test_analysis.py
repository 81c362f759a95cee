"""From stored files to opinions and refusals, with the gate and the network that are served."""

import io

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image as PillowImage

from diagnosis import inference
from diagnosis.models import AuditEvent, Prediction
from diagnosis.services.analysis import analysis_run
from ml.phantom import phantom_png
from tests.factories import ImageFactory, PredictionFactory

CHEST = phantom_png(71, rows=320, columns=300)


def png(picture: PillowImage.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def turned(degrees: int) -> bytes:
    return png(PillowImage.open(io.BytesIO(CHEST)).rotate(degrees, expand=True))


def noise() -> bytes:
    return png(PillowImage.fromarray(np.random.default_rng(0).integers(0, 256, (320, 300), dtype=np.uint8)))


@pytest.fixture
def analysed(doctor, site):
    """What the portal says about a stored file."""

    def run(content):
        model = inference.served_model()
        name = default_storage.save("originals/one", ContentFile(content))
        prediction = PredictionFactory(
            image=ImageFactory(study__patient__site=site, file=name), model_version__sha256=model.sha256
        )
        analysis_run(prediction_id=str(prediction.pk))
        return Prediction.objects.get(pk=prediction.pk)

    return run


def test_an_upright_frontal_chest_gets_an_opinion(analysed):
    prediction = analysed(CHEST)
    assert (prediction.status, prediction.reason) == ("done", "")
    assert prediction.label in prediction.possible_labels


REFUSED = {
    "turned by 90": (turned(90), {"turned"}),
    "turned by 180": (turned(180), {"turned"}),
    "turned by 270": (turned(270), {"turned"}),
    "noise": (noise(), {"damaged_picture", "not_frontal_chest"}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_gate_refuses_gets_no_opinion_and_a_reason(analysed, case):
    content, codes = REFUSED[case]
    prediction = analysed(content)
    assert prediction.status == "refused"
    assert prediction.refusal_code in codes
    assert prediction.reason
    assert (prediction.label, prediction.probabilities, prediction.activation_maps) == ("", {}, None)
    event = AuditEvent.objects.get(action="analysis_refused")
    assert event.details["code"] == prediction.refusal_code
