"""Preview and thumbnail of what came by a road on which nobody looks at it: made once, later, and never missed by anybody."""

import io

import pytest
from django.core.files.storage import default_storage
from django.urls import reverse
from PIL import Image as Picture

from diagnosis import inference
from diagnosis.intake import renderings
from diagnosis.intake.examine import examine
from diagnosis.limits import image_limits
from diagnosis.models import HeldFile, Prediction
from diagnosis.services.analysis import analysis_run
from diagnosis.services.tokens import token_issue
from ml.phantom import phantom_dicom, phantom_png
from tests.factories import ModelVersionFactory
from tests.intake.test_rules import described_as
from tests.web.files import dicom


@pytest.fixture
def image(receive):
    return receive(dicom()).image


@pytest.fixture
def no_decoding(monkeypatch):
    """From now on a test fails that decodes."""
    return lambda: monkeypatch.setattr(renderings, "examine_apart", None)


def answer_of(response) -> bytes:
    assert response.status_code == 200
    return b"".join(response) if response.streaming else response.content


def test_of_a_file_that_nobody_looks_at_the_original_alone_is_written(image, stored_files):
    assert image.is_shown
    assert stored_files() == [image.file.name]


@pytest.mark.parametrize("name", ["preview", "thumbnail"])
def test_who_looks_first_sees_what_would_have_been_made_at_once(image, client, doctor, name, no_decoding):
    client.force_login(doctor)
    shown = examine(dicom(), image_limits(), render=True)
    for _ in range(2):
        picture = answer_of(client.get(reverse(f"web:{name}", args=[image.pk])))
        assert picture == getattr(shown, name)
        no_decoding()


def test_the_worklist_and_the_study_page_show_it_before_its_analysis(image, client, doctor):
    client.force_login(doctor)
    for page, picture in (
        (reverse("web:home"), reverse("web:thumbnail", args=[image.pk])),
        (reverse("web:study", args=[image.study_id]), reverse("web:preview", args=[image.pk])),
    ):
        assert picture in client.get(page).content.decode()
        assert Picture.open(io.BytesIO(answer_of(client.get(picture)))).format == "JPEG"


@pytest.mark.parametrize("kind", ["rendered", "thumbnail"])
def test_a_dicomweb_viewer_sees_it_before_its_analysis(image, client, doctor, kind, no_decoding):
    token = token_issue(user=doctor).secret
    address = (
        f"/dicom-web/studies/{image.study.study_instance_uid}/series/{image.series_instance_uid}"
        f"/instances/{image.sop_instance_uid}/{kind}"
    )
    for _ in range(2):
        picture = answer_of(
            client.get(address, HTTP_AUTHORIZATION=f"Token {token}", HTTP_ACCEPT="image/jpeg")
        )
        assert Picture.open(io.BytesIO(picture)).size == (image.columns, image.rows)
        no_decoding()


def test_a_program_sees_it_before_its_analysis(image, client, doctor):
    token = token_issue(user=doctor).secret
    picture = answer_of(
        client.get(f"/api/v1/images/{image.pk}/preview/", HTTP_AUTHORIZATION=f"Token {token}")
    )
    assert Picture.open(io.BytesIO(picture)).format == "JPEG"


def test_a_held_file_is_shown_to_the_administrator(receive, client, admin):
    for seed in (1, 2):
        receive(dicom(seed, sop_instance_uid="1.2.3.9"))
    client.force_login(admin)
    held = HeldFile.objects.get()
    for name in ("picture", "stored_picture"):
        answer_of(client.get(reverse(f"admin:diagnosis_heldfile_{name}", args=[held.pk])))


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (phantom_png(71, rows=320, columns=300), "done"),
        (phantom_dicom(71, rows=320, columns=300, patient_id="MRN-1"), "done"),
        (phantom_png(1, rows=16, columns=300), "refused"),
    ],
    ids=["picture", "DICOM", "refused by the gate"],
)
def test_the_analysis_makes_them_from_the_pixels_that_it_decoded(
    receive, stored_files, content, status, no_decoding
):
    ModelVersionFactory(sha256=inference.served_model().sha256)
    receipt = receive(content, described=described_as("MRN-1"))
    assert len(stored_files()) == 1
    analysis_run(prediction_id=str(Prediction.objects.get().pk))
    assert Prediction.objects.get().status == status
    no_decoding()
    shown = examine(content, image_limits(), render=True)
    assert renderings.rendering_open(receipt.image.preview).read() == shown.preview
    assert renderings.rendering_open(receipt.image.thumbnail).read() == shown.thumbnail


def test_two_who_look_first_at_once_make_no_third_file(image, stored_files, monkeypatch):
    real = renderings.examine_apart

    def somebody_is_faster(content):
        monkeypatch.setattr(renderings, "examine_apart", real)
        renderings.rendering_open(type(image).objects.get().thumbnail)
        # Neither saw the other's file before writing its own.
        monkeypatch.setattr(
            "diagnosis.services.renderings.default_storage.exists", lambda _: False, raising=False
        )
        return real(content)

    monkeypatch.setattr(renderings, "examine_apart", somebody_is_faster)
    renderings.rendering_open(image.preview)
    monkeypatch.undo()
    assert stored_files() == sorted(image.stored_names)


def test_a_picture_is_shown_also_when_the_disk_is_full(image, client, doctor, monkeypatch):
    client.force_login(doctor)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(default_storage, "save", full, raising=False)
    assert answer_of(client.get(reverse("web:preview", args=[image.pk])))


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_where_the_stored_file_itself_is_lost_there_is_no_picture(image, client, doctor, harm, private_media):
    path = private_media / image.file.name
    path.unlink()
    if harm == "damaged":
        path.write_bytes(dicom()[:-200])
    client.force_login(doctor)
    assert client.get(reverse("web:preview", args=[image.pk])).status_code == 404
