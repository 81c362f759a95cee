"""WADO-RS: files, metadata, frames, pictures."""

import email
import io
import json

import numpy as np
import pydicom
import pytest
from django.core.files.storage import default_storage
from PIL import Image as Picture
from pydicom import uid

from ml.imaging import load_image
from ml.phantom import TRANSFER_SYNTAXES
from tests.dicomweb.conftest import STUDY_UID, dicom, path_of, stored

DICOM_PARTS = 'multipart/related; type="application/dicom"'
AS_STORED = f"{DICOM_PARTS}; transfer-syntax=*"


def parts(response):
    """(content type, location, content) of each part, read by Python's own parser."""
    assert response.status_code == 200, response.content
    head = f"Content-Type: {response['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + b"".join(response.streaming_content))
    return [
        (part["Content-Type"], part["Content-Location"], part.get_payload(decode=True))
        for part in message.get_payload()
    ]


def metadata_of(api, path):
    response = api.get(f"{path}/metadata", HTTP_ACCEPT="application/dicom+json")
    assert response["Content-Type"] == "application/dicom+json"
    return json.loads(b"".join(response.streaming_content))


def with_syntax(study, syntax, **options):
    bits = 8 if syntax == uid.JPEGBaseline8Bit else 12
    return stored(study, dicom(3, transfer_syntax=syntax, bits_stored=bits, **options))


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES, ids=lambda syntax: syntax.name)
def test_a_study_comes_byte_for_byte_as_it_is_stored(api, study, syntax):
    image = with_syntax(study, syntax)
    [(content_type, location, content)] = parts(
        api.get(f"/dicom-web/studies/{STUDY_UID}", HTTP_ACCEPT=AS_STORED)
    )
    assert content == image.file.read()
    assert content_type == f"application/dicom; transfer-syntax={syntax}"
    assert location == f"http://testserver{path_of(image)}"


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES, ids=lambda syntax: syntax.name)
def test_without_a_transfer_syntax_it_comes_in_explicit_little_endian_and_looks_the_same(api, study, syntax):
    image = with_syntax(study, syntax)
    [(content_type, _, content)] = parts(api.get(path_of(image), HTTP_ACCEPT=DICOM_PARTS))
    ds = pydicom.dcmread(io.BytesIO(content))
    assert content_type == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    assert ds.file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian
    assert ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID == image.sop_instance_uid
    np.testing.assert_array_equal(load_image(content).pixels, load_image(image.file.read()).pixels)


def test_a_lookup_table_of_a_big_endian_file_is_turned_round_too(api, study):
    image = with_syntax(study, uid.ExplicitVRBigEndian, greys="voi lut")
    [(_, _, content)] = parts(api.get(path_of(image), HTTP_ACCEPT=DICOM_PARTS))
    np.testing.assert_array_equal(load_image(content).pixels, load_image(image.file.read()).pixels)


def test_a_study_holds_every_instance_of_it(api, study):
    images = [stored(study, dicom(n)) for n in (1, 2, 3)]
    found = parts(api.get(f"/dicom-web/studies/{STUDY_UID}", HTTP_ACCEPT=AS_STORED))
    assert [content for _, _, content in found] == [image.file.read() for image in images]


def test_one_instance_comes_without_parts_where_that_is_asked_for(api, image):
    response = api.get(path_of(image), HTTP_ACCEPT="application/dicom; transfer-syntax=*")
    assert b"".join(response.streaming_content) == image.file.read()
    assert response["Content-Type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"


@pytest.mark.parametrize(
    "accept",
    [
        "image/png",
        "application/dicom",  # Of a study there may be several.
        f"{DICOM_PARTS}; transfer-syntax={uid.JPEG2000Lossless}",
        'multipart/related; type="application/dicom+xml"',
        f"{DICOM_PARTS}; q=0",
    ],
)
def test_what_cannot_be_sent_is_refused_with_what_can(api, image, accept):
    response = api.get(f"/dicom-web/studies/{STUDY_UID}", HTTP_ACCEPT=accept)
    assert response.status_code == 406
    assert "Ask for" in response.json()["detail"]


def test_the_parameter_of_the_address_wins_over_the_header(api, image):
    response = api.get(f"{path_of(image)}?accept=application/dicom", HTTP_ACCEPT="image/png")
    assert response["Content-Type"].startswith("application/dicom;")


def test_metadata_are_the_header_without_its_pixels(api, image):
    [metadata] = metadata_of(api, path_of(image))
    assert metadata["00080018"]["Value"] == [image.sop_instance_uid]
    assert metadata["00280010"]["Value"] == [40]
    assert metadata["00083002"]["Value"] == [image.transfer_syntax_uid]
    assert metadata["7FE00010"] == {
        "vr": "OW",
        "BulkDataURI": f"http://testserver{path_of(image)}/frames/1",
    }


def test_names_in_another_character_set_come_in_unicode(api, study):
    image = stored(
        study,
        dicom(
            4,
            patient_name="Yamada^Tarou=山田^太郎",
            elements={"SpecificCharacterSet": ["", "ISO 2022 IR 87"]},
        ),
    )
    [metadata] = metadata_of(api, path_of(image))
    assert metadata["00100010"]["Value"] == [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}]
    assert metadata["00080005"]["Value"] == ["ISO_IR 192"]


def test_metadata_of_a_study_name_every_instance(api, study):
    images = [stored(study, dicom(n)) for n in (1, 2)]
    metadata = metadata_of(api, f"/dicom-web/studies/{STUDY_UID}")
    assert [one["00080018"]["Value"][0] for one in metadata] == [image.sop_instance_uid for image in images]


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES, ids=lambda syntax: syntax.name)
def test_a_frame_comes_as_samples(api, study, syntax):
    image = with_syntax(study, syntax)
    accept = 'multipart/related; type="application/octet-stream"'
    [(content_type, _, content)] = parts(api.get(f"{path_of(image)}/frames/1", HTTP_ACCEPT=accept))
    ds = pydicom.dcmread(io.BytesIO(image.file.read()))
    assert content_type == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    samples = np.frombuffer(content, "<u1" if ds.BitsAllocated == 8 else "<u2").reshape(40, 36)
    np.testing.assert_array_equal(samples, ds.pixel_array)


@pytest.mark.parametrize(
    ("syntax", "media_type"),
    [
        (uid.RLELossless, "image/dicom-rle"),
        (uid.JPEGLSLossless, "image/jls"),
        (uid.JPEG2000Lossless, "image/jp2"),
        (uid.JPEGBaseline8Bit, "image/jpeg"),
    ],
)
@pytest.mark.parametrize("by", ["type", "octet-stream"])
def test_a_frame_comes_compressed_as_it_is_stored(api, study, syntax, media_type, by):
    image = with_syntax(study, syntax)
    accept = (
        f'multipart/related; type="{media_type}"'
        if by == "type"
        else "multipart/related; type=application/octet-stream; transfer-syntax=*"
    )
    [(content_type, _, content)] = parts(api.get(f"{path_of(image)}/frames/1", HTTP_ACCEPT=accept))
    ds = pydicom.dcmread(io.BytesIO(image.file.read()))
    assert content_type == f"{media_type}; transfer-syntax={syntax}"
    assert content == next(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1))


@pytest.mark.parametrize("frames", ["2", "1,2", "0"])
def test_a_frame_that_is_not_there_is_said_so(api, image, frames):
    response = api.get(f"{path_of(image)}/frames/{frames}")
    assert response.status_code in (400, 404)
    assert response.json()["detail"]


def test_a_picture_is_what_the_pages_show(api, image):
    response = api.get(f"{path_of(image)}/rendered", HTTP_ACCEPT="image/png")
    shown = np.asarray(Picture.open(io.BytesIO(response.content)), dtype=np.float32) / 255
    assert response["Content-Type"] == "image/png"
    np.testing.assert_allclose(shown, load_image(image.file.read()).pixels, atol=1 / 255)


def test_a_picture_fits_the_viewport_and_takes_the_window(api, image):
    small = api.get(f"{path_of(image)}/rendered", {"viewport": "20,20"}, HTTP_ACCEPT="image/png")
    assert max(Picture.open(io.BytesIO(small.content)).size) == 20
    # Everything below the window is black.
    dark = api.get(f"{path_of(image)}/rendered", {"window": "9000,10,linear"}, HTTP_ACCEPT="image/png")
    assert np.asarray(Picture.open(io.BytesIO(dark.content))).max() == 0
    jpeg = api.get(f"{path_of(image)}/rendered")
    assert Picture.open(io.BytesIO(jpeg.content)).format == "JPEG"


@pytest.mark.parametrize(
    "query",
    [
        {"window": "1,0,linear"},
        {"window": "1,2"},
        {"window": "a,b,linear"},
        {"window": "nan,1,linear"},
        {"viewport": "0,1"},
        {"viewport": "99999,1"},
        {"quality": "101"},
        {"annotation": "patient"},
    ],
    ids=str,
)
def test_a_picture_that_cannot_be_made_like_that_is_refused_with_the_parameter(api, image, query):
    response = api.get(f"{path_of(image)}/rendered", query)
    assert response.status_code == 400
    assert set(response.json()["errors"]) == set(query)


def test_the_pictures_of_a_study_come_in_parts(api, study):
    for n in (1, 2):
        stored(study, dicom(n))
    response = api.get(
        f"/dicom-web/studies/{STUDY_UID}/rendered", HTTP_ACCEPT='multipart/related; type="image/jpeg"'
    )
    found = parts(response)
    assert [content_type for content_type, _, _ in found] == ["image/jpeg", "image/jpeg"]
    assert all(Picture.open(io.BytesIO(content)).size == (36, 40) for _, _, content in found)


@pytest.mark.parametrize(("accept", "form"), [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("*/*", "JPEG")])
def test_a_thumbnail_is_a_small_picture(api, image, accept, form):
    for address in (f"/dicom-web/studies/{STUDY_UID}", path_of(image)):
        response = api.get(f"{address}/thumbnail", HTTP_ACCEPT=accept)
        content = b"".join(response) if response.streaming else response.content
        assert Picture.open(io.BytesIO(content)).format == form


def test_what_holds_no_picture_is_kept_and_not_rendered(api, image):
    type(image).objects.filter(pk=image.pk).update(
        preview="", thumbnail="", not_analysed_code="no_picture", number_of_frames=None
    )
    assert api.get(f"{path_of(image)}/thumbnail").status_code == 404
    assert api.get(f"{path_of(image)}/rendered").status_code == 406
    assert api.get(path_of(image)).status_code == 200


def test_what_was_never_decoded_apart_is_not_decoded_by_the_web_server(api, study):
    image = with_syntax(study, uid.JPEG2000Lossless)
    type(image).objects.filter(pk=image.pk).update(
        preview="", thumbnail="", not_analysed_code="several_frames"
    )
    for address in (path_of(image), f"{path_of(image)}/frames/1"):
        response = api.get(address)
        assert response.status_code == 406
        assert "transfer-syntax=*" in response.json()["detail"]
    assert parts(api.get(path_of(image), HTTP_ACCEPT=AS_STORED))[0][2] == image.file.read()


def test_a_file_that_is_missing_from_the_storage_is_not_found(api, image):
    default_storage.delete(image.file.name)
    for address in (path_of(image), f"{path_of(image)}/metadata", f"{path_of(image)}/frames/1"):
        assert api.get(address).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["studies/1.2.3.4", f"studies/{STUDY_UID}/series/1.2", "studies/nonsense", "studies/1.2/x", ""],
)
def test_what_does_not_exist_is_not_found_in_words(api, image, path):
    response = api.get(f"/dicom-web/{path}")
    assert response.status_code == 404
    assert "no such record" in response.json()["detail"]


def test_a_study_that_two_hospitals_share_comes_once_for_somebody_of_both(
    client_of, doctor, other_site, image, study
):
    from diagnosis.services.accounts import membership_set, system_user
    from tests.factories import PatientFactory, StudyFactory

    membership_set(actor=system_user(), user=doctor, site=other_site, role="doctor")
    elsewhere = StudyFactory(
        patient=PatientFactory(site=other_site), submitted_by=doctor, study_instance_uid=STUDY_UID
    )
    stored(elsewhere, dicom(2))
    type(image).objects.filter(study=elsewhere).update(sop_instance_uid=image.sop_instance_uid)
    response = client_of(doctor).get(f"/dicom-web/studies/{STUDY_UID}", HTTP_ACCEPT=AS_STORED)
    assert len(parts(response)) == 1
