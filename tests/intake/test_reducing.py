"""What the network takes is made where the file is decoded anyway: the same bits, for one opinion, and nobody misses it."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings as portal
from PIL import Image as Picture

from diagnosis import inference
from diagnosis.intake import decoder, reducing
from diagnosis.intake.decoder import DecoderDied, examine_apart, processes
from diagnosis.models import Image, Prediction, Site
from diagnosis.services import outbox, reduced
from diagnosis.services.analysis import analysis_run
from diagnosis.services.reduced import reduced_of
from diagnosis.services.studies import FileOutcome
from ml.imaging import load_image
from ml.phantom import phantom_dicom, phantom_png
from ml.preprocessing import Preprocessing
from tests.factories import ModelVersionFactory
from tests.intake.test_bad_input import MOST_MEMORY, peak_memory
from tests.intake.test_rules import described_as
from tests.web.files import dicom

CHEST = phantom_dicom(71, rows=320, columns=300, patient_id="MRN-1")
TURNED = phantom_png(71, rows=300, columns=1200)


@pytest.fixture(autouse=True)
def incoming(settings, tmp_path) -> Path:
    folder = tmp_path / "incoming"
    folder.mkdir()
    settings.FILE_UPLOAD_TEMP_DIR = str(folder)
    return folder


@pytest.fixture
def stored(receive, django_capture_on_commit_callbacks, monkeypatch):
    """Store a file whose prediction waits, and the squares that are kept of it."""
    ModelVersionFactory(sha256=inference.served_model().sha256)
    monkeypatch.setattr(outbox.current_app, "send_task", lambda *_, **__: None)

    def store(content=CHEST, **options) -> Image | None:
        with django_capture_on_commit_callbacks(execute=True):
            return receive(content, **options).image

    return store


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def opinion(image) -> Prediction:
    prediction = Prediction.objects.get(image=image)
    analysis_run(prediction_id=str(prediction.pk))
    return Prediction.objects.get(pk=prediction.pk)


@pytest.mark.parametrize(
    "content",
    [
        CHEST,
        phantom_dicom(3, rows=90, columns=70, patient_id="MRN-1", photometric="MONOCHROME1", bits_stored=16),
        phantom_png(5, rows=150, columns=140),
    ],
    ids=["DICOM", "DICOM of 16 bits, white as 0", "PNG"],
)
def test_the_squares_are_those_of_the_stored_file_to_the_bit(stored, content):
    squares = reduced_of(stored(content, described=described_as("MRN-1")))
    pixels = load_image(content).pixels
    assert sorted(squares) == list(inference.input_sizes())
    for size, square in squares.items():
        assert square.tobytes() == Preprocessing(size).square(pixels).tobytes()


def test_gate_and_network_take_squares_of_these_sizes():
    sizes = {inference.served_gate().preprocessing.size, inference.served_model().preprocessing.size}
    assert set(inference.input_sizes()) == sizes


def test_the_opinion_is_the_same_to_the_bit_whether_or_not_the_file_is_decoded_again(stored, incoming):
    image = stored()
    with_squares = opinion(image)
    assert kept(incoming) == []
    Prediction.objects.filter(pk=with_squares.pk).delete()
    again = Prediction.objects.create(
        image=image, model_version=with_squares.model_version, queued_at=with_squares.queued_at
    )
    assert reduced_of(image) is None
    decoded = opinion(image)
    assert decoded.pk == again.pk
    assert (with_squares.status, decoded.status) == ("done", "done")
    for name in ("probabilities", "label", "possible_labels"):
        assert getattr(with_squares, name) == getattr(decoded, name)
    assert bytes(with_squares.activation_maps) == bytes(decoded.activation_maps)


def test_the_file_is_not_decoded_before_its_opinion_is_there(stored, monkeypatch):
    image, real, statuses = stored(), inference.read, []

    def read(content):
        statuses.append(Prediction.objects.get(image=image).status)
        return real(content)

    monkeypatch.setattr(inference, "read", read)
    opinion(image)
    assert statuses == ["done"]  # For the pictures.


def test_what_the_gate_refuses_is_refused_for_the_same_reason(stored, incoming):
    image = stored(TURNED, described=described_as("MRN-1"))
    assert reduced_of(image) is not None
    refused = opinion(image)
    assert (refused.status, refused.refusal_code) == ("refused", "odd_shape")
    assert "1200 x 300" in str(refused.reason)
    assert kept(incoming) == []


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("harm", [halve, flip, empty, Path.unlink], ids=["cut", "flipped", "zeros", "gone"])
def test_where_what_is_kept_is_not_whole_the_worker_decodes_the_file_itself(stored, incoming, harm):
    image = stored()
    [name] = kept(incoming)
    harm(incoming / name)
    assert reduced_of(image) is None
    assert opinion(image).status == "done"


def test_a_worker_whose_model_takes_another_size_decodes_the_file_itself(stored, monkeypatch):
    monkeypatch.setattr(inference, "input_sizes", lambda: (32, 48))
    image = stored()
    assert sorted(reduced_of(image)) == [32, 48]
    monkeypatch.undo()
    assert opinion(image).status == "done"


def test_the_worker_hears_of_the_image_once_record_and_squares_are_there(
    receive, monkeypatch, incoming, django_capture_on_commit_callbacks
):
    ModelVersionFactory(sha256=inference.served_model().sha256)
    seen = []
    monkeypatch.setattr(outbox.current_app, "send_task", lambda *_, **__: seen.append(kept(incoming)))
    with django_capture_on_commit_callbacks(execute=True):
        image = receive(CHEST).image
    assert seen == [[f"reduced-{image.sha256}.upload"]]


@pytest.mark.parametrize(
    "content",
    [b"no image", CHEST[:-200], dicom(patient_id=""), dicom(view_position="LL")],
    ids=["refused", "damaged", "held", "a lateral"],
)
def test_nothing_is_kept_of_what_is_not_analysed(stored, incoming, content):
    stored(content)
    assert kept(incoming) == []


def test_nothing_is_kept_of_what_cannot_be_stored(stored, receive, incoming, monkeypatch):
    monkeypatch.setattr("diagnosis.intake.unattended.file_take_in", None)
    assert receive(CHEST).outcome is FileOutcome.REFUSED
    assert kept(incoming) == []


def test_nothing_is_kept_where_copies_without_names_are_stored(stored, incoming, site):
    Site.objects.filter(pk=site.pk).update(deidentification="stored_copy")
    site.refresh_from_db()
    image = stored(at=site)
    assert image.is_deidentified
    assert kept(incoming) == []
    assert reduced_of(image) is None
    assert opinion(image).status == "done"


def test_no_more_is_kept_than_there_is_room_for(stored, incoming, monkeypatch):
    monkeypatch.setattr(reduced, "MOST_KEPT", 1)
    first, second = stored(), stored(phantom_dicom(72, rows=320, columns=300, patient_id="MRN-1"))
    assert kept(incoming) == [f"reduced-{first.sha256}.upload"]
    assert Prediction.objects.filter(image=second).exists()


def test_a_decoder_that_dies_over_it_costs_nothing(stored, incoming, monkeypatch):
    real = decoder._answer

    def dies(process, ask, contents, **said):
        if ask == "reduce":
            raise DecoderDied
        return real(process, ask, contents, **said)

    monkeypatch.setattr(decoder, "_answer", dies)
    image = stored()
    assert kept(incoming) == []
    assert opinion(image).status == "done"


def test_a_disk_without_room_for_it_costs_nothing(stored, incoming, monkeypatch):
    monkeypatch.setattr(np, "savez", full)
    image = stored()
    assert kept(incoming) == []
    monkeypatch.undo()
    assert opinion(image).status == "done"


def full(*_, **__):
    raise OSError(28, "No space left on device")


def test_where_no_model_can_be_read_nothing_is_made(stored, incoming, monkeypatch):
    monkeypatch.setattr(portal, "CXR_MODEL_DIR", "/nowhere")
    inference.input_sizes.cache_clear()
    try:
        stored()
    finally:
        monkeypatch.undo()
        inference.input_sizes.cache_clear()
    assert kept(incoming) == []


def test_the_pictures_are_made_after_the_opinion_also_where_the_stored_file_is_damaged_by_then(
    stored, private_media, caplog
):
    image = stored()
    (private_media / image.file.name).write_bytes(b"damaged")
    assert opinion(image).status == "done"
    assert "could not be read again" in caplog.text


def test_the_decoder_takes_another_file_while_nobody_has_waited_for_the_squares(receive, monkeypatch):
    monkeypatch.setattr(reducing.Reducing, "wait", lambda _: None)
    for seed in (1, 2, 3):
        assert receive(dicom(seed)).outcome is FileOutcome.STORED


def test_the_largest_image_accepted_fits_into_the_memory_of_a_decoder(settings):
    file = BytesIO()
    Picture.new("I;16", (8000, 5000), 1000).save(file, format="PNG", compress_level=1)
    processes.end_all()
    made: list[bytes] = []

    class Wanted:
        def sizes(self, examined):
            return inference.input_sizes()

        def begin(self, squares):
            made.extend(squares())

    examine_apart(file.getvalue(), render=False, reduction=Wanted())
    assert [len(square) for square in made] == [4 * size**2 for size in inference.input_sizes()]
    assert peak_memory() < MOST_MEMORY
