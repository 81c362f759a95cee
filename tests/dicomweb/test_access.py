"""Every resource by every role, as one table."""

import pytest
from rest_framework.test import APIClient

from diagnosis.dicomweb.urls import urlpatterns
from diagnosis.models import AuditEvent
from diagnosis.policies import ALLOWED, Act
from tests.dicomweb.conftest import path_of

PEOPLE = ("doctor", "radiologist", "admin", "outsider", "anonymous")
READ = (200, 200, 200, 404, 401)

# (method, name): status for each of PEOPLE. A search of an outsider is answered, with nothing.
TABLE = {
    ("get", "studies"): (200, 200, 200, 200, 401),
    ("get", "series"): (200, 200, 200, 200, 401),
    ("get", "instances"): (200, 200, 200, 200, 401),
    # Without a body: who may store is told so. The outsider may, at home.
    ("post", "studies"): (411, 411, 403, 411, 401),
    ("post", "study"): (411, 411, 403, 411, 401),
    ("get", "study"): READ,
    ("get", "study_metadata"): READ,
    ("get", "study_rendered"): READ,
    ("get", "study_thumbnail"): READ,
    ("get", "study_series"): READ,
    ("get", "study_instances"): READ,
    ("get", "one_series"): READ,
    ("get", "series_metadata"): READ,
    ("get", "series_rendered"): READ,
    ("get", "series_thumbnail"): READ,
    ("get", "series_instances"): READ,
    ("get", "instance"): READ,
    ("get", "instance_metadata"): READ,
    ("get", "instance_rendered"): READ,
    ("get", "instance_thumbnail"): READ,
    ("get", "frames"): READ,
    ("get", "frames_rendered"): READ,
    ("get", "frames_thumbnail"): READ,
    ("get", "unknown"): (404, 404, 404, 404, 401),
}


@pytest.fixture
def paths(image) -> dict[str, str]:
    study = f"/dicom-web/studies/{image.study.study_instance_uid}"
    series = f"{study}/series/{image.series_instance_uid}"
    instance = path_of(image)
    return {
        "studies": "/dicom-web/studies",
        "series": "/dicom-web/series",
        "instances": "/dicom-web/instances",
        "study": study,
        "study_series": f"{study}/series",
        "study_instances": f"{study}/instances",
        "one_series": series,
        "series_instances": f"{series}/instances",
        "instance": instance,
        "frames": f"{instance}/frames/1",
        "unknown": "/dicom-web/nothing/here",
        **{
            f"{level}_{kind}": f"{address}/{kind}"
            for level, address in (
                ("study", study),
                ("series", series),
                ("instance", instance),
                ("frames", f"{instance}/frames/1"),
            )
            for kind in ("metadata", "rendered", "thumbnail")
        },
    }


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize(("method", "name"), TABLE)
def test_each_role_gets_what_the_table_says(method, name, person, paths, client_of, request):
    client = APIClient() if person == "anonymous" else client_of(request.getfixturevalue(person))
    response = getattr(client, method)(paths[name])
    assert response.status_code == TABLE[method, name][PEOPLE.index(person)]


def test_the_table_knows_every_resource():
    assert {pattern.name for pattern in urlpatterns} == {name for _, name in TABLE}


#: A search shows what is visible; its results are opened one by one.
SEARCHES = {"studies", "series", "instances"}


@pytest.mark.parametrize("name", sorted({name for _, name in TABLE} - {"unknown"} - SEARCHES))
def test_a_role_without_the_right_to_see_records_is_refused(name, paths, client_of, doctor, monkeypatch):
    """No role of today lacks it: this one takes it from the doctors."""
    monkeypatch.setitem(ALLOWED, "doctor", ALLOWED["doctor"] - {Act.VIEW_RECORDS})
    assert client_of(doctor).get(paths[name]).status_code == 403


def test_a_session_of_the_pages_opens_it_too(client, doctor, paths):
    client.force_login(doctor)
    assert client.get(paths["instance_metadata"]).status_code == 200


@pytest.mark.parametrize("name", sorted(name for (_, name), codes in TABLE.items() if codes is READ))
def test_every_read_of_a_study_is_on_record_as_an_opening(name, paths, api, doctor, study):
    api.get(paths[name])
    [event] = AuditEvent.objects.filter(action="study_viewed")
    assert (event.actor, event.patient, event.object_id) == (doctor, study.patient, str(study.pk))


@pytest.mark.parametrize("name", ["study", "one_series", "instance"])
def test_taking_the_file_itself_is_on_record_as_a_download_too(name, paths, api, image):
    api.get(paths[name])
    [event] = AuditEvent.objects.filter(action="image_downloaded")
    assert event.object_id == str(image.pk)


def test_a_search_is_on_record_with_what_was_searched_for(api, image):
    api.get("/dicom-web/studies", {"PatientName": "Exam*", "limit": "5"})
    [event] = AuditEvent.objects.filter(action="records_searched")
    assert event.details == {"records": "studies", "query": "PatientName=Exam*"}


def test_nothing_stays_in_a_cache(api, paths):
    assert "no-store" in api.get(paths["instance"])["Cache-Control"]


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
def test_no_resource_is_changed_or_deleted(method, api, paths):
    for name in ("study", "one_series", "instance", "frames"):
        assert getattr(api, method)(paths[name]).status_code == 405
