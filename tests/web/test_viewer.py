"""What the study page tells its viewer, and the samples that it gets."""

import io
import json
import re
import time
from unittest import mock

import numpy as np
import pydicom
import pytest
from django.urls import reverse
from PIL import Image as Picture
from pydicom import uid

from diagnosis.models import AuditEvent, Image
from diagnosis.selectors.case_record import case_record
from diagnosis.selectors.viewing import edges, spacing
from diagnosis.services.openings import VALID_FOR, opening_ticket
from diagnosis.web.viewer import viewer_of
from ml.phantom import to_file
from tests.dicomweb.conftest import dicom, stored
from tests.factories import ImageFactory, PatientFactory, StudyFactory
from tests.viewer.conftest import stored_raster

UID = "1.2.826.0.1.3680043.10.1.1"


@pytest.fixture
def own_study(patient, doctor):
    study = StudyFactory(
        patient=patient, submitted_by=doctor, study_instance_uid=UID, performed_at="2020-04-02T08:15:00Z"
    )
    study.refresh_from_db()
    return study


def png16(darkest: int = 40_000) -> bytes:
    file = io.BytesIO()
    Picture.fromarray(np.arange(darkest, darkest + 12, dtype=np.uint16).reshape(3, 4)).save(file, "PNG")
    return file.getvalue()


def test_a_dicom_image_comes_from_wado_rs_and_a_raster_from_its_samples(browser, doctor, own_study):
    by_wado, raster = stored(own_study, dicom()), stored_raster(own_study, png16())
    told = {one["id"]: one for one in viewer_of(doctor, case_record(doctor, own_study.pk), by_wado).told}
    assert told[str(by_wado.pk)]["frame"].startswith(f"/dicom-web/studies/{UID}/series/")
    client = browser(doctor)
    assert client.get(told[str(by_wado.pk)]["frame"]).status_code == 200
    response = client.get(told[str(raster.pk)]["frame"])
    assert np.frombuffer(response.content, "<u2").tolist() == [*range(40_000, 40_012)]
    assert client.get(told[str(raster.pk)]["viewing"]).json()["bitsStored"] == 16


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"transfer_syntax": uid.JPEG2000Lossless},
        # A header larger than what is read of it at first.
        {"elements": {"ICCProfile": bytes(600_000)}},
    ],
    ids=["deflated", "compressed", "a large header"],
)
def test_the_grey_scale_is_told_whatever_the_file_is_like(browser, doctor, own_study, options):
    content = dicom(1, rows=600, columns=500, **options)
    if not options:
        content = to_file(pydicom.dcmread(io.BytesIO(content)), uid.DeflatedExplicitVRLittleEndian)
    image = stored(own_study, content)
    told = browser(doctor).get(reverse("web:viewing", args=[image.pk])).json()
    assert told["windows"] == [{"low": 0.0, "high": 4095.0, "explanation": ""}]


def test_taking_samples_is_on_record_as_an_opening_of_the_study(browser, doctor, own_study):
    raster = stored_raster(own_study, png16())
    browser(doctor).get(reverse("web:samples", args=[raster.pk]))
    assert AuditEvent.objects.filter(action="study_viewed", object_id=str(own_study.pk)).exists()


def opened(actor, study):
    return AuditEvent.objects.filter(action="study_viewed", actor=actor, object_id=str(study.pk)).count()


def viewer_on(page):
    """What the page tells its script: the ticket of the opening, and the images."""
    content = page.content.decode()
    [told] = re.findall(r'<script id="viewer-images"[^>]*>(.*?)</script>', content)
    return {"X-Opening": re.search(r'data-opening="([^"]+)"', content)[1]}, json.loads(told)


@pytest.mark.parametrize("kind", ["DICOM", "PNG"])
def test_a_page_with_its_images_is_one_opening_and_a_reload_is_another(browser, doctor, own_study, kind):
    image = stored(own_study, dicom()) if kind == "DICOM" else stored_raster(own_study, png16())
    client, address = browser(doctor), reverse("web:study", args=[own_study.pk])
    for visit in (1, 2):
        ticket, [told] = viewer_on(client.get(address))
        for _ in range(2):
            answer = client.get(told["frame"], headers={"Accept": told["mediaType"], **ticket})
            assert (answer.status_code, answer.headers["X-Opening"]) == (200, ticket["X-Opening"])
        client.get(told["viewing"])
        client.get(reverse("web:study_live", args=[own_study.pk]), headers={"X-Poll": "1"})
        assert opened(doctor, own_study) == visit
    assert image.study == own_study


def test_an_earlier_study_beside_it_is_opened_once_too(browser, doctor, own_study, patient):
    earlier = StudyFactory(patient=patient, performed_at="2019-03-01T08:00:00Z")
    images = [stored_raster(earlier, png16(darkest)) for darkest in (10_000, 20_000)]
    client = browser(doctor)
    client.get(reverse("web:study", args=[own_study.pk]))
    assert opened(doctor, earlier) == 0
    ticket = ""
    for image in images:
        answer = client.get(reverse("web:samples", args=[image.pk]), headers={"X-Opening": ticket})
        ticket = answer.headers["X-Opening"]
    assert opened(doctor, earlier) == 1


@pytest.mark.parametrize("ticket", ["of another study", "of another person", "too old", "made up"])
def test_what_is_no_ticket_of_this_opening_opens_the_study_anew(
    browser, doctor, radiologist, own_study, patient, ticket
):
    image = stored_raster(own_study, png16())
    other = StudyFactory(patient=patient)
    said = {
        "of another study": opening_ticket(actor=doctor, study=other),
        "of another person": opening_ticket(actor=radiologist, study=own_study),
        "too old": old_ticket(doctor, own_study),
        "made up": "1.2:3:4",
    }[ticket]
    browser(doctor).get(reverse("web:samples", args=[image.pk]), headers={"X-Opening": said})
    assert opened(doctor, own_study) == 1


def old_ticket(actor, study):
    with mock.patch("time.time", return_value=time.time() - VALID_FOR.total_seconds() - 5):
        return opening_ticket(actor=actor, study=study)


def test_a_ticket_gives_no_right(browser, outsider, doctor, own_study):
    image = stored_raster(own_study, png16())
    ticket = opening_ticket(actor=outsider, study=own_study)
    answer = browser(outsider).get(reverse("web:samples", args=[image.pk]), headers={"X-Opening": ticket})
    assert answer.status_code == 404


def test_what_has_no_picture_has_no_samples(browser, doctor, own_study):
    image = ImageFactory(study=own_study, preview="", thumbnail="", not_analysed_code="no_picture")
    for name in ("viewing", "samples"):
        assert browser(doctor).get(reverse(f"web:{name}", args=[image.pk])).status_code == 404
    assert viewer_of(doctor, case_record(doctor, own_study.pk), None).told == []


def test_earlier_images_are_those_of_the_same_patient_the_latest_first(doctor, own_study, patient):
    days = {}
    for day in ("2020-03-01", "2019-03-01", "2021-03-01"):
        study = StudyFactory(patient=patient, performed_at=f"{day}T08:00:00Z")
        ImageFactory(study=study)
        days[study.pk] = day
    ImageFactory(
        study=StudyFactory(patient=PatientFactory(site=patient.site), performed_at="2020-01-01T08:00:00Z")
    )
    StudyFactory(patient=patient, performed_at="2020-01-01T08:00:00Z")  # Without a picture.
    case = case_record(doctor, own_study.pk)
    found = [days[shown.study.pk] for shown in viewer_of(doctor, case, None).earlier]
    assert found == ["2020-03-01", "2019-03-01"]


def test_the_page_tells_the_viewer_where_images_are_and_nothing_else(browser, doctor, own_study):
    image = stored(own_study, dicom())
    page = browser(doctor).get(reverse("web:study", args=[own_study.pk])).content.decode()
    [told] = json.loads(re.search(r'<script id="viewer-images"[^>]*>(.*?)</script>', page)[1])
    assert set(told) == {
        "id",
        "study",
        "name",
        "rows",
        "columns",
        "preview",
        "viewing",
        "frame",
        "mediaType",
        "transferSyntax",
        "edges",
        "day",
    }
    assert told["id"] == str(image.pk)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("L\\F", "HLFR"),
        ("R\\F", "HRFL"),
        ("P\\F", "HPFA"),
        ("LF\\FP", "HLFR"),
        ("", ""),
        ("L", ""),
        ("L\\R", ""),
        ("L\\L", ""),
        ("X\\F", ""),
    ],
)
def test_patient_orientation_says_what_lies_at_each_edge(said, shown):
    found = edges(Image(header={"patient_orientation": said}))
    assert found.top + found.right + found.bottom + found.left == shown
    assert found.knows_sides is bool(set(shown) & set("LR"))


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ({"imager_pixel_spacing": [0.2, 0.2]}, "detector"),
        ({"imager_pixel_spacing": [0.2, 0.2], "pixel_spacing": [0.2, 0.2]}, "detector"),
        ({"imager_pixel_spacing": [0.2, 0.2], "pixel_spacing": [0.18, 0.18]}, "calibrated"),
        ({"pixel_spacing": [0.2, 0.2]}, "unstated"),
        ({}, None),
    ],
    ids=["imager alone", "both alike", "both, different", "pixel alone", "none"],
)
def test_the_kind_of_a_spacing_follows_from_which_are_there(header, kind):
    found = spacing(Image(header=header))
    assert (found and found.kind) == kind
