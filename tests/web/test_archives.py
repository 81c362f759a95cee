"""The page that looks for studies in an archive and fetches them."""

import datetime as dt

import pytest
from django.urls import reverse

from diagnosis.models import PacsPeer, PacsRetrieval
from diagnosis.pacs.archive import ArchiveUnavailable, FoundStudy, StudyQuery

FOUND = FoundStudy(
    study_instance_uid="1.2.3",
    patient_id="MRN-9",
    patient_name="Example^Berta",
    patient_birth_date=dt.date(1950, 1, 1),
    patient_sex="F",
    accession_number="ACC-9",
    study_date=dt.date(2024, 5, 6),
    study_description="Chest <PA>",
    modalities="CR",
    instance_count="2",
)


@pytest.fixture
def archive(site, doctor):
    return PacsPeer.objects.create(
        site=site,
        name="Main archive",
        account=doctor,
        query_protocol="dicomweb",
        dicomweb_url="http://127.0.0.1:9",
    )


@pytest.fixture
def asked(monkeypatch):
    """What the archive is asked; it finds one study."""
    queries = []

    def search(*, actor, peer, query):
        queries.append(query)
        return [FOUND]

    monkeypatch.setattr("diagnosis.web.views.archives.pacs_search", search)
    return queries


def search(browser, user, archive, **typed):
    return browser(user).post(reverse("web:archives"), {"archive": archive.pk, **typed})


def test_the_worklist_leads_to_the_archives_where_there_are_any(browser, doctor, archive):
    link = f'href="{reverse("web:archives")}"'
    assert link in browser(doctor).get(reverse("web:home")).content.decode()
    archive.delete()
    assert link not in browser(doctor).get(reverse("web:home")).content.decode()


def test_what_is_found_is_shown_and_can_be_fetched(browser, doctor, archive, asked):
    response = search(browser, doctor, archive, patient_name="Example, Berta", date_from="2024-05-01")
    page = response.content.decode()
    assert asked == [StudyQuery(patient_name="Example^Berta*", date_from=dt.date(2024, 5, 1))]
    assert "Example, Berta" in page
    assert "MRN-9" in page
    assert "Chest &lt;PA&gt;" in page
    response = browser(doctor).post(
        reverse("web:fetch"), {"archive": archive.pk, "study_instance_uid": "1.2.3"}
    )
    assert response.status_code == 302
    retrieval = PacsRetrieval.objects.get()
    assert (retrieval.peer, retrieval.requested_by, retrieval.status) == (archive, doctor, "queued")
    page = browser(doctor).get(reverse("web:archives")).content.decode()
    assert "Waiting" in page
    assert 'hx-trigger="every 3s"' in page


def test_a_finished_list_stops_asking_for_itself(browser, doctor, archive):
    PacsRetrieval.objects.create(
        peer=archive,
        requested_by=doctor,
        study_instance_uid="1.2.3",
        status="failed",
        reason="It does not answer.",
    )
    fragment = browser(doctor).get(reverse("web:retrievals")).content.decode()
    assert "It does not answer." in fragment
    assert "hx-get" not in fragment


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({}, "Enter at least one"),
        ({"patient_id": "A\\B"}, "backslashes"),
        ({"date_from": "2024-05-02", "date_to": "2024-05-01"}, "before the first one"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_said_on_the_form(browser, doctor, archive, asked, typed, sentence):
    response = search(browser, doctor, archive, **typed)
    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert asked == []


def test_an_archive_that_does_not_answer_is_said_on_the_page(browser, doctor, archive, monkeypatch):
    def fail(**_):
        raise ArchiveUnavailable("The archive Main archive could not be asked. It does not answer.")

    monkeypatch.setattr("diagnosis.web.views.archives.pacs_search", fail)
    response = search(browser, doctor, archive, patient_id="1")
    assert response.status_code == 503
    assert "It does not answer." in response.content.decode()


def test_an_archive_of_another_hospital_cannot_be_chosen(browser, outsider, archive, asked):
    response = search(browser, outsider, archive, patient_id="1")
    assert response.status_code == 422
    assert asked == []
