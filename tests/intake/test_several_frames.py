"""Of a file with several frames the first is shown, wherever there is a picture of an image; the network is not asked."""

import io
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from django.urls import reverse
from PIL import Image as Picture
from pydicom import uid
from pydicom.encaps import encapsulate, generate_frames

from diagnosis.intake.examine import examine
from diagnosis.intake.renderings import rendering_open
from diagnosis.limits import image_limits
from diagnosis.models import Image, Prediction, Site
from diagnosis.services.studies import FileOutcome
from diagnosis.services.tokens import token_issue
from ml.phantom import phantom_dicom
from tests.factories import ModelVersionFactory

SYNTAXES = [
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.RLELossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
]
FRAMES = 3


def single(seed: int = 1, syntax: uid.UID = uid.ExplicitVRLittleEndian) -> bytes:
    return phantom_dicom(seed, rows=48, columns=40, transfer_syntax=syntax, patient_id="MRN-1")


def several(syntax: uid.UID = uid.ExplicitVRLittleEndian) -> bytes:
    """Frames that differ, of which the first is ``single()``."""
    frames = [pydicom.dcmread(BytesIO(single(seed, syntax))) for seed in range(1, FRAMES + 1)]
    ds = frames[0]
    ds.NumberOfFrames = FRAMES
    if syntax.is_encapsulated:
        ds.PixelData = encapsulate(
            [next(generate_frames(frame.PixelData, number_of_frames=1)) for frame in frames]
        )
        ds["PixelData"].is_undefined_length = True
    else:
        ds.PixelData = b"".join(frame.PixelData for frame in frames)
    file = BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


@pytest.fixture
def image(receive) -> Image:
    return receive(several()).image


def answered(response) -> bytes:
    assert response.status_code == 200
    return b"".join(response) if response.streaming else response.content


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
def test_its_picture_is_that_of_its_first_frame(receive, syntax):
    ModelVersionFactory()
    receipt = receive(several(syntax))
    assert receipt.outcome is FileOutcome.STORED
    image = receipt.image
    assert (image.not_analysed_code, image.number_of_frames) == ("several_frames", FRAMES)
    shown = examine(single(1, syntax), image_limits())
    with rendering_open(image.preview) as preview, rendering_open(image.thumbnail) as thumbnail:
        assert (preview.read(), thumbnail.read()) == (shown.preview, shown.thumbnail)
    assert shown.preview != examine(single(2, syntax), image_limits()).preview
    assert not Prediction.objects.exists()


def test_what_is_said_of_it_is_true_of_what_is_shown(image):
    assert "at most its first frame is shown" in str(image.not_analysed_reason)


def test_the_page_shows_it_and_says_which_frame_it_is(image, client, doctor):
    client.force_login(doctor)
    page = client.get(reverse("web:study", args=[image.study_id])).content.decode()
    assert reverse("web:preview", args=[image.pk]) in page
    assert f"frame 1 of {FRAMES}" in page
    assert Picture.open(io.BytesIO(answered(client.get(reverse("web:preview", args=[image.pk]))))).size == (
        40,
        48,
    )


@pytest.mark.parametrize("kind", ["rendered", "thumbnail", "frames/1/rendered", "frames/1/thumbnail"])
@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png"])
def test_a_dicomweb_viewer_is_given_it(image, client, doctor, kind, media_type):
    response = ask(client, doctor, image, kind, media_type)
    picture = Picture.open(io.BytesIO(answered(response)))
    assert (picture.size, f"image/{picture.format.lower()}") == ((40, 48), media_type)


def test_another_frame_is_not_rendered(image, client, doctor):
    assert ask(client, doctor, image, "frames/2/rendered", "image/jpeg").status_code == 404


def test_what_was_not_decoded_apart_is_not_decoded_by_the_web_server(receive, client, doctor):
    image = receive(several(uid.JPEG2000Lossless)).image
    assert image.is_shown
    response = ask(client, doctor, image, "frames/2", 'multipart/related; type="application/octet-stream"')
    assert response.status_code == 406


def ask(client, doctor, image, what, accept):
    address = (
        f"/dicom-web/studies/{image.study.study_instance_uid}/series/{image.series_instance_uid}"
        f"/instances/{image.sop_instance_uid}/{what}"
    )
    token = token_issue(user=doctor).secret
    return client.get(address, HTTP_AUTHORIZATION=f"Token {token}", HTTP_ACCEPT=accept)


def test_one_whose_first_frame_cannot_be_shown_is_kept_without_a_picture(receive, client, doctor):
    """In colour."""
    path = Path(pydicom.__file__).parent / "data" / "test_files" / "SC_rgb_rle_2frame.dcm"
    ds = pydicom.dcmread(path)
    ds.PatientID = "MRN-1"
    file = BytesIO()
    ds.save_as(file, enforce_file_format=True)
    receipt = receive(file.getvalue())
    assert receipt.outcome is FileOutcome.STORED, receipt.reason
    assert not receipt.image.is_shown
    client.force_login(doctor)
    page = client.get(reverse("web:study", args=[receipt.image.study_id]))
    assert page.status_code == 200
    assert client.get(reverse("web:preview", args=[receipt.image.pk])).status_code == 404
    assert ask(client, doctor, receipt.image, "rendered", "image/jpeg").status_code == 406


@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless], ids=lambda syntax: syntax.keyword
)
def test_one_that_lacks_a_frame_is_refused_though_its_first_can_be_read(receive, syntax):
    ds = pydicom.dcmread(BytesIO(several(syntax)))
    ds.NumberOfFrames = FRAMES + 1
    file = BytesIO()
    ds.save_as(file, enforce_file_format=True)
    receipt = receive(file.getvalue())
    assert (receipt.outcome, receipt.code) == (FileOutcome.REFUSED, "truncated")
    assert not Image.objects.exists()


def test_a_de_identified_copy_of_it_shows_the_same(receive, site):
    Site.objects.filter(pk=site.pk).update(deidentification="stored_copy")
    site.refresh_from_db()
    image = receive(several(), at=site).image
    assert image.is_deidentified
    with rendering_open(image.preview) as preview:
        assert preview.read() == examine(single(), image_limits()).preview


def test_other_frames_behind_the_same_first_one_are_not_taken_for_the_same(receive):
    receive(several())
    ds = pydicom.dcmread(BytesIO(several()))
    frame = len(ds.PixelData) // FRAMES
    ds.PixelData = ds.PixelData[: 2 * frame] + ds.PixelData[:frame]
    file = BytesIO()
    ds.save_as(file, enforce_file_format=True)
    assert receive(file.getvalue()).code == "other_pixels"
