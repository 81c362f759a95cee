"""QIDO-RS: matching, attributes, pages."""

import pytest

from diagnosis.models import AuditEvent
from tests.dicomweb.conftest import STUDY_UID, dicom, path_of, stored
from tests.factories import ImageFactory, PatientFactory, StudyFactory


def uids(response, tag="0020000D"):
    assert response.status_code == 200, response.content
    return [result[tag]["Value"][0] for result in response.json()]


@pytest.fixture
def others(site, doctor):
    """Two more studies: of a patient with a Japanese name, and of one without a date."""
    studies = []
    for n, (mrn, name, sex, at) in enumerate(
        [
            ("MRN-2", "Yamada^Tarou=山田^太郎=やまだ^たろう", "M", "2021-12-31T23:30:00Z"),
            ("MRN-30", "O'Brien^Ana", "F", None),
        ],
        start=2,
    ):
        study = StudyFactory(
            patient=PatientFactory(site=site, mrn=mrn, person_name=name, sex=sex),
            submitted_by=doctor,
            study_instance_uid=f"1.2.3.{n}",
            performed_at=at,
        )
        stored(study, dicom(n, study_instance_uid=f"1.2.3.{n}", sop_instance_uid=f"1.2.3.{n}.1"))
        studies.append(study)
    return studies


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {STUDY_UID, "1.2.3.2", "1.2.3.3"}),
        ({"PatientID": "MRN-1"}, {STUDY_UID}),
        ({"00100020": "MRN-1"}, {STUDY_UID}),
        ({"PatientID": "mrn-1"}, set()),
        ({"PatientID": "MRN-?"}, {STUDY_UID, "1.2.3.2"}),
        ({"PatientID": "MRN-3*"}, {"1.2.3.3"}),
        ({"PatientID": "MRN."}, set()),
        ({"PatientName": "example^ana"}, {STUDY_UID}),
        ({"PatientName": "Example^Ana^^"}, {STUDY_UID}),
        ({"PatientName": "Example"}, set()),
        ({"PatientName": "*Ana"}, {STUDY_UID, "1.2.3.3"}),
        ({"PatientName": "山田*"}, {"1.2.3.2"}),
        ({"PatientName": "O'Brien^Ana"}, {"1.2.3.3"}),
        ({"PatientSex": "M"}, {"1.2.3.2"}),
        ({"PatientBirthDate": "19600501"}, {STUDY_UID}),
        ({"AccessionNumber": "ACC-7"}, {STUDY_UID}),
        ({"AccessionNumber": ""}, {STUDY_UID, "1.2.3.2", "1.2.3.3"}),
        ({"StudyDescription": "*drawn"}, {STUDY_UID}),
        ({"StudyInstanceUID": f"{STUDY_UID},1.2.3.3"}, {STUDY_UID, "1.2.3.3"}),
        ({"ModalitiesInStudy": "CR"}, {STUDY_UID, "1.2.3.2", "1.2.3.3"}),
        ({"ModalitiesInStudy": "CT,MR"}, set()),
        ({"StudyDate": "20200402"}, {STUDY_UID}),
        ({"StudyDate": "20200403-"}, {"1.2.3.2"}),
        ({"StudyDate": "-20211231"}, {STUDY_UID}),
        # Half past midnight of New Year at the hospital.
        ({"StudyDate": "20220101-20220101"}, {"1.2.3.2"}),
        ({"StudyDate": "20200402", "StudyTime": "1000-1030"}, {STUDY_UID}),
        ({"StudyTime": "1015"}, {STUDY_UID}),
        ({"StudyTime": "0800-0900"}, set()),
    ],
    # The order in a set differs from one test worker to the next.
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_a_search_finds_what_matches_and_nothing_else(api, image, others, query, expected):
    response = api.get("/dicom-web/studies", query)
    found = uids(response)
    assert set(found) == expected
    assert len(found) == len(expected)


def test_a_study_is_described_as_the_standard_lists_it(api, image):
    [result] = api.get("/dicom-web/studies").json()
    assert result["00080020"] == {"vr": "DA", "Value": ["20200402"]}
    assert result["00080030"] == {"vr": "TM", "Value": ["101500"]}
    assert result["00080050"] == {"vr": "SH", "Value": ["ACC-7"]}
    assert result["00080056"] == {"vr": "CS", "Value": ["ONLINE"]}
    assert result["00080061"] == {"vr": "CS", "Value": ["CR"]}
    assert result["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Example^Ana"}]}
    assert result["00100020"] == {"vr": "LO", "Value": ["MRN-1"]}
    assert result["00100030"] == {"vr": "DA", "Value": ["19600501"]}
    assert result["00201206"] == {"vr": "IS", "Value": [1]}
    assert result["00201208"] == {"vr": "IS", "Value": [1]}
    assert result["00081190"]["Value"] == [f"http://testserver/dicom-web/studies/{STUDY_UID}"]


def test_series_and_instances_are_described_too(api, image):
    [series] = api.get(f"/dicom-web/studies/{STUDY_UID}/series").json()
    assert series["0020000E"]["Value"] == [image.series_instance_uid]
    assert series["00080060"]["Value"] == ["CR"]
    assert series["00201209"]["Value"] == [1]
    assert "00100010" not in series
    [instance] = api.get(f"/dicom-web/studies/{STUDY_UID}/instances").json()
    assert instance["00080018"]["Value"] == [image.sop_instance_uid]
    assert (instance["00280010"]["Value"], instance["00280011"]["Value"]) == ([40], [36])
    assert instance["00081190"]["Value"] == [f"http://testserver{path_of(image)}"]


def test_a_search_over_all_studies_names_the_study_of_each_series_and_instance(api, image):
    [series] = api.get("/dicom-web/series", {"Modality": "CR"}).json()
    assert series["00100020"]["Value"] == ["MRN-1"]
    [instance] = api.get("/dicom-web/instances", {"SOPInstanceUID": image.sop_instance_uid}).json()
    assert instance["0020000D"]["Value"] == [STUDY_UID]
    assert instance["0020000E"]["Value"] == [image.series_instance_uid]
    assert api.get("/dicom-web/series", {"Modality": "CT"}).json() == []


def test_attributes_of_the_study_come_where_they_are_asked_for(api, image):
    [series] = api.get(f"/dicom-web/studies/{STUDY_UID}/series", {"includefield": "PatientName"}).json()
    assert series["00100010"]["Value"] == [{"Alphabetic": "Example^Ana"}]


def test_results_come_in_pages_that_say_when_there_are_more(api, image, others):
    first = api.get("/dicom-web/studies", {"limit": "2"})
    rest = api.get("/dicom-web/studies", {"limit": "2", "offset": "2"})
    assert len(uids(first)) == 2
    assert "There are more results" in first["Warning"]
    assert len(uids(rest)) == 1
    assert "Warning" not in rest
    assert not set(uids(first)) & set(uids(rest))


def test_fuzzy_matching_is_not_pretended(api, image):
    response = api.get("/dicom-web/studies", {"PatientName": "Exampel", "fuzzymatching": "true"})
    assert response.json() == []
    assert "Fuzzy matching is not supported" in response["Warning"]


@pytest.mark.parametrize(
    "query",
    [
        {"PatientNmae": "Example"},
        {"ReferringPhysicianName": "House"},
        {"StudyDate": "2020-04-02"},
        {"StudyDate": "20201301"},
        {"StudyDate": "-"},
        {"StudyTime": "2500"},
        {"limit": "-1"},
        {"limit": "ten"},
        {"offset": "1e3"},
        {"StudyInstanceUID": "1.2.3' OR 1=1"},
        {"PatientID": "MRN\x00"},
        {"includefield": "Nonsense"},
        {"fuzzymatching": "maybe"},
        {"patient__mrn__startswith": "M"},
        {"_connector": "OR"},
    ],
    ids=str,
)
def test_a_question_that_is_not_understood_is_refused_with_its_name(api, image, query):
    response = api.get("/dicom-web/studies", query)
    assert response.status_code == 400
    assert set(response.json()["errors"]) == set(query)


def test_wildcards_are_no_regular_expressions(api, image):
    assert api.get("/dicom-web/studies", {"PatientID": "(MRN|X)-*"}).json() == []
    assert api.get("/dicom-web/studies", {"PatientName": ".*"}).json() == []


def test_a_search_shows_nothing_of_another_hospital(client_of, outsider, image):
    client = client_of(outsider)
    for resource in ("studies", "series", "instances"):
        assert client.get(f"/dicom-web/{resource}").json() == []
        assert client.get(f"/dicom-web/{resource}", {"PatientID": "MRN-1"}).json() == []


def test_pictures_that_are_no_dicom_are_not_served(api, study):
    ImageFactory(study=study)
    assert api.get("/dicom-web/studies").json() == []
    assert api.get(f"/dicom-web/studies/{STUDY_UID}").status_code == 404


def test_a_search_below_a_study_opens_it(api, image, study):
    api.get(f"/dicom-web/studies/{STUDY_UID}/series")
    assert AuditEvent.objects.get(action="study_viewed").object_id == str(study.pk)
    assert not AuditEvent.objects.filter(action="records_searched").exists()


def test_a_search_answers_json_alone(api, image):
    assert api.get("/dicom-web/studies")["Content-Type"] == "application/dicom+json"
    assert api.get("/dicom-web/studies", HTTP_ACCEPT="application/json")["Content-Type"] == "application/json"
    response = api.get("/dicom-web/studies", HTTP_ACCEPT='multipart/related; type="application/dicom+xml"')
    assert response.status_code == 406
    assert "application/dicom+json" in response.json()["detail"]


def test_the_number_of_queries_does_not_grow_with_the_results(
    api, image, others, django_assert_max_num_queries
):
    with django_assert_max_num_queries(14):
        assert len(uids(api.get("/dicom-web/studies"))) == 3
