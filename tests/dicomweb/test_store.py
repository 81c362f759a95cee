"""STOW-RS: several objects, each decided about by itself."""

import io
import json
from pathlib import Path

import pydicom
import pytest
from django.conf import settings
from django.test import override_settings

from diagnosis.dicomweb.multipart_reading import BodyBroken, parts_of
from diagnosis.models import Image
from diagnosis.services.accounts import membership_set, system_user
from diagnosis.services.studies import FileOutcome, Receipt
from diagnosis.services.tokens import token_issue
from tests.dicomweb.conftest import STUDY_UID, dicom

BOUNDARY = "the-boundary"
TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
BIG = {"rows": 128, "columns": 120}


def file(seed: int = 1, **options) -> bytes:
    return dicom(seed, **{**BIG, **options})


def body(*contents: bytes, content_type="application/dicom") -> bytes:
    parts = [
        f"--{BOUNDARY}\r\nContent-Type: {content_type}\r\n\r\n".encode() + content + b"\r\n"
        for content in contents
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def store(api, content, *, path="/dicom-web/studies", content_type=TYPE, **headers):
    return api.generic("POST", path, content, content_type=content_type, **headers)


def failures(response):
    return [
        (item["00081197"]["Value"][0], item["00000902"]["Value"][0])
        for item in response.json()["00081198"]["Value"]
    ]


def test_objects_are_stored_and_answered_with_where_they_are(api, doctor, site):
    response = store(api, body(file(1), file(2)))
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/dicom+json"
    answer = response.json()
    assert "00081198" not in answer
    items = answer["00081199"]["Value"]
    images = list(Image.objects.order_by("created_at"))
    assert [item["00081155"]["Value"][0] for item in items] == [image.sop_instance_uid for image in images]
    assert {(image.site, image.uploaded_by, image.road) for image in images} == {(site, doctor, "stow")}
    assert images[0].file.read() == file(1)
    location = items[0]["00081190"]["Value"][0].removeprefix("http://testserver")
    assert api.get(location).status_code == 200
    assert answer["00081190"]["Value"] == [f"http://testserver/dicom-web/studies/{STUDY_UID}"]


def test_one_object_may_come_without_parts(api):
    assert store(api, file(), content_type="application/dicom").status_code == 200
    assert Image.objects.count() == 1


def test_one_bad_object_stops_no_other_and_is_named_with_its_reason(api):
    broken = file(2)[:2000]
    response = store(api, body(file(1), broken, b"no DICOM at all", file(3)))
    assert response.status_code == 202
    assert len(response.json()["00081199"]["Value"]) == 2
    [(first_code, first), (second_code, second)] = failures(response)
    assert (first_code, second_code) == (0xC000, 0xC000)
    assert "incomplete" in first
    assert "not a DICOM" in second
    assert Image.objects.count() == 2


def test_where_nothing_could_be_stored_the_answer_is_a_conflict(api):
    response = store(api, body(b"no DICOM at all"))
    assert response.status_code == 409
    assert not Image.objects.exists()


def test_the_same_object_again_is_there_already(api):
    for _ in range(2):
        assert store(api, body(file())).status_code == 200
    assert Image.objects.count() == 1


@pytest.mark.parametrize(
    ("outcome", "code", "status", "reason"),
    [
        (FileOutcome.REFUSED, "technical_error", 503, 0xA700),
        (FileOutcome.REFUSED, "no_room", 507, 0xA700),
        (FileOutcome.REFUSED, "unsupported_transfer_syntax", 409, 0xC122),
        (FileOutcome.HELD, "patient_differs", 200, None),
        (FileOutcome.DUPLICATE, "", 200, None),
    ],
)
def test_each_outcome_has_its_code(api, monkeypatch, outcome, code, status, reason):
    receipt = Receipt("1.dcm", outcome, "The sentence.", code=code)
    monkeypatch.setattr("diagnosis.dicomweb.views.store.receive_unattended", lambda **_: receipt)
    response = store(api, body(file()))
    assert response.status_code == status
    if reason is not None:
        assert failures(response) == [(reason, "The sentence.")]
    else:
        assert response.json()["00081199"]["Value"][0]["00000902"]["Value"] == ["The sentence."]


def test_an_address_of_a_study_takes_its_own_objects_alone(api):
    other = file(2, study_instance_uid="1.2.3", sop_instance_uid="1.2.3.4")
    response = store(api, body(file(1), other), path=f"/dicom-web/studies/{STUDY_UID}")
    assert response.status_code == 202
    [(code, sentence)] = failures(response)
    assert code == 0xA900
    assert "another study" in sentence
    assert Image.objects.get().study.study_instance_uid == STUDY_UID


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"", TYPE, 400),
        (b"no boundary in here", TYPE, 400),
        (f"--{BOUNDARY}--\r\n".encode(), TYPE, 400),
        (body(b"x"), 'multipart/related; type="application/dicom"', 400),
        (b"{}", "application/json", 415),
        (b"{}", 'multipart/related; type="application/dicom+json"; boundary=x', 415),
        (b"", "application/dicom", 400),
    ],
)
def test_a_request_that_is_none_is_refused_with_the_reason(api, content, content_type, status):
    response = store(api, content, content_type=content_type)
    assert response.status_code == status or (content == b"" and response.status_code == 411)
    assert response.json()["detail"]


def test_the_answer_is_json_or_not_acceptable(api):
    response = store(api, body(file()), HTTP_ACCEPT="application/dicom+xml")
    assert response.status_code == 406
    assert not Image.objects.exists()


def test_a_body_that_breaks_off_keeps_what_was_whole_and_says_so(api):
    whole = body(file(1), file(2))
    response = store(api, whole[: int(len(whole) * 0.75)])
    assert response.status_code == 202
    assert "not whole" in response.json()["00000902"]["Value"][0]
    assert Image.objects.count() == 1


def test_an_object_over_the_limit_is_refused_and_the_next_one_stored(api):
    with override_settings(CXR_MAX_UPLOAD_BYTES=200_000):
        response = store(api, body(b"x" * 300_000, file()))
    assert response.status_code == 202
    [(code, sentence)] = failures(response)
    assert code == 0xC000
    assert "larger than the limit" in sentence


def test_a_chunked_body_is_read_where_the_server_marks_its_end(api):
    content = body(file(1), file(2))
    chunked = {"CONTENT_LENGTH": "", "wsgi.input": io.BytesIO(content), "wsgi.input_terminated": True}
    assert store(api, content, **chunked).status_code == 200
    assert Image.objects.count() == 2


def test_a_chunked_body_whose_end_nobody_marks_is_refused(api):
    assert store(api, body(file()), CONTENT_LENGTH="").status_code == 411


def test_somebody_of_two_hospitals_names_the_one_that_is_meant(client_of, doctor, other_site):
    membership_set(actor=system_user(), user=doctor, site=other_site, role="doctor")
    api = client_of(doctor)
    assert store(api, body(file())).status_code == 400
    assert store(api, body(file()), path=f"/dicom-web/studies?site={other_site.pk}").status_code == 200
    assert Image.objects.get().site == other_site


def test_nobody_stores_at_another_hospital(api, other_site):
    response = store(api, body(file()), path=f"/dicom-web/studies?site={other_site.pk}")
    assert response.status_code == 400
    assert not Image.objects.exists()


def test_a_page_elsewhere_cannot_store_with_somebodys_session(doctor):
    from rest_framework.test import APIClient

    client = APIClient(enforce_csrf_checks=True)
    client.force_login(doctor)
    assert store(client, body(file())).status_code == 403
    assert not Image.objects.exists()


# Peers


def test_the_reference_client_stores_what_it_then_retrieves(peer):
    datasets = [pydicom.dcmread(io.BytesIO(file(n))) for n in (1, 2)]
    answer = peer.store_instances(datasets)
    assert len(answer.ReferencedSOPSequence) == 2
    retrieved = peer.retrieve_study(STUDY_UID)
    assert {ds.SOPInstanceUID for ds in retrieved} == {ds.SOPInstanceUID for ds in datasets}
    np_equal = {ds.SOPInstanceUID: ds.PixelData for ds in datasets}
    assert all(ds.PixelData == np_equal[ds.SOPInstanceUID] for ds in retrieved)


@pytest.mark.xdist_group("orthanc")
def test_orthanc_pushes_by_stow(server, doctor, orthanc):
    orthanc.know_dicomweb_server("portal", f"{server}/dicom-web", token_issue(user=doctor).secret)
    instance = orthanc.store(file())
    response = orthanc.push_by_stow("portal", instance)
    assert response.ok, response.text
    assert Image.objects.get().road == "stow"
    # A second time it is there already, which is a success too.
    assert orthanc.push_by_stow("portal", instance).ok


# The reader of bodies, by itself


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_parts_are_the_same_however_the_body_is_cut(size):
    contents = [b"\r\n--the-bound", b"", b"x--the-boundary is text here\r\n--", bytes(range(256)) * 20]

    class Slowly(io.BytesIO):
        def read(self, _size):
            return super().read(size)

    found = list(parts_of(Slowly(body(*contents)), BOUNDARY, most_bytes=100_000))
    assert [part.content.read() for part in found] == contents
    assert {part.content_type for part in found} == {"application/dicom"}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_body_without_its_end_is_broken(share):
    whole = body(b"a" * 1000, b"b" * 1000)
    with pytest.raises(BodyBroken):
        list(
            parts_of(io.BytesIO(whole[: int(len(whole) * share)].rstrip(b"-\r\n")), BOUNDARY, most_bytes=9999)
        )


def test_a_header_without_end_is_not_collected_for_ever():
    endless = f"--{BOUNDARY}\r\nContent-Type: ".encode() + b"a" * 100_000
    with pytest.raises(BodyBroken):
        list(parts_of(io.BytesIO(endless), BOUNDARY, most_bytes=9999))


def spooled() -> set[Path]:
    return set(Path(settings.FILE_UPLOAD_TEMP_DIR).glob("spool-*"))


@pytest.mark.parametrize("end", [None, -40], ids=["whole", "broken off"])
def test_nothing_of_a_body_is_left_where_it_came_in(api, end):
    before = spooled()
    store(api, body(file(1), b"no image", file(2))[:end])
    assert spooled() == before


def test_parts_that_nobody_takes_are_thrown_away():
    before = spooled()
    parts = parts_of(io.BytesIO(body(b"a", b"b", b"c")), BOUNDARY, most_bytes=9999)
    with next(parts).content as content:
        assert content.read() == b"a"
    parts.close()
    assert spooled() == before


@pytest.mark.parametrize("content_type", [TYPE, "application/dicom"])
def test_an_object_for_which_the_disk_has_no_room_may_be_sent_again(api, monkeypatch, content_type):
    def full(*_):
        raise OSError(28, "No space left on device")

    sent = body(file()) if content_type == TYPE else file()
    monkeypatch.setattr("diagnosis.intake.spool.Spool.write", full)
    response = store(api, sent, content_type=content_type)
    assert response.status_code == 507
    assert "disk of the portal is full" in failures(response)[0][1]
    assert not spooled()
    monkeypatch.undo()
    assert store(api, sent, content_type=content_type).status_code == 200


def test_a_json_answer_holds_no_group_that_json_cannot(api):
    json.loads(store(api, body(file())).content)
