"""The page after login: who sees which studies, how they are found, how the list stays fresh."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from diagnosis.models import AuditEvent, StudyStatus
from diagnosis.selectors.studies import second_opinion
from diagnosis.services.accounts import membership_set, system_user
from diagnosis.services.reviews import review_sign
from diagnosis.web.views.worklist import PAGE_SIZE
from tests.factories import (
    ImageFactory,
    LabResultFactory,
    PatientFactory,
    PredictionFactory,
    StudyFactory,
    UserFactory,
)
from tests.web.conftest import HTMX
from tests.web.pages import html, text

HOME = reverse("web:home")
SEARCH = reverse("web:search")
REFRESH = reverse("web:refresh")


def test_nobody_sees_anything_before_the_login(browser, study):
    response = browser(None).get(HOME)
    assert response.status_code == 302
    assert response["Location"] == "/accounts/login/?next=/"


@pytest.mark.parametrize("role", ["doctor", "radiologist"])
def test_who_uploads_finds_the_drop_zone_above_the_worklist(browser, study, request, role):
    page = html(browser(request.getfixturevalue(role)).get(HOME))
    assert page.index("data-drop-zone") < page.index('id="worklist"')


def test_an_administrator_sees_the_worklist_and_no_drop_zone(browser, study, admin):
    response = browser(admin).get(HOME)
    assert "data-drop-zone" not in html(response)
    assert "Example, Ana" in text(response)


def test_a_row_says_all_that_is_known_about_the_study(browser, doctor, radiologist, study, patient):
    LabResultFactory(patient=patient, result="detected")
    review_sign(actor=radiologist, study=study, decision="confirm", opinion_token=second_opinion(study).token)
    page = text(browser(doctor).get(HOME))
    for words in ("Read", "Example, Ana", "MRN-1", "Female", "COVID-19", "Detected", "1 study, newest first"):
        assert words in page


@pytest.mark.parametrize(
    ("status", "words"),
    [("queued", "Waiting"), ("running", "Running"), ("failed", "Failed"), ("refused", "Refused")],
)
def test_a_row_says_how_far_the_analysis_is(browser, doctor, patient, status, words):
    PredictionFactory(image=ImageFactory(study__patient=patient), status=status, reason="It has one.")
    rows = text(browser(doctor).get(HOME)).partition("Decision")[2]
    assert f" {words} " in rows


OPINIONS = {
    "pending": ({}, "Waiting"),
    "label": ({"done": True}, "COVID-19"),
    "unsure": ({"done": True, "possible_labels": ["covid19", "normal"]}, "Unsure: COVID-19 or Normal"),
    "refused": ({"refused": True}, "Refused"),
    "failed": ({"failed": True}, "Failed"),
}


@pytest.fixture
def one_of_each(site):
    return {
        state: PredictionFactory(
            image=ImageFactory(
                study__patient__site=site, study__patient__person_name=f"{state.title()}^Example"
            ),
            **values,
        )
        for state, (values, _) in OPINIONS.items()
    }


@pytest.mark.parametrize("state", OPINIONS)
def test_the_list_is_narrowed_to_one_kind_of_second_opinion(browser, doctor, one_of_each, state):
    response = browser(doctor).get(HOME, {"opinion": state})
    [row] = response.context["rows"]
    assert row.study == one_of_each[state].image.study
    assert row.opinion_chip.text == OPINIONS[state][1]
    assert "1 study with the second opinion" in text(response)


def test_a_later_opinion_on_the_same_image_counts_and_not_the_refusal_before(browser, doctor, one_of_each):
    PredictionFactory(
        image=one_of_each["refused"].image,
        model_version__name="newer",
        model_version__is_active=False,
        done=True,
    )
    response = browser(doctor).get(HOME, {"opinion": "refused"})
    assert response.context["rows"] == []
    assert "No such study." in text(response)


def test_a_search_stays_narrowed_and_a_kind_that_does_not_exist_narrows_nothing(browser, doctor, one_of_each):
    client = browser(doctor)
    response = client.post(SEARCH, {"q": "Example", "opinion": "unsure"}, headers=HTMX)
    assert "1 study matches “ Example ” with the second opinion “Unsure”" in text(response)
    assert len(client.get(HOME, {"opinion": "'; --"}).context["rows"]) == 5


def test_an_outsider_sees_no_study_of_another_hospital(browser, outsider, study):
    page = text(browser(outsider).get(HOME))
    assert "Example" not in page
    assert "No study yet. Drop a chest X-ray" in page


def test_the_empty_page_says_what_to_do_to_each_role(browser, doctor, admin, db):
    assert "Drop a chest X-ray" in text(browser(doctor).get(HOME))
    assert "as soon as a doctor or a radiologist uploads one" in text(browser(admin).get(HOME))
    assert "Ask an administrator to give your account a role" in text(browser(UserFactory()).get(HOME))


def test_somebody_with_two_hospitals_chooses_where_the_files_go(browser, doctor, site, other_site):
    assert 'type="hidden" name="site"' in html(browser(doctor).get(HOME))
    membership_set(actor=system_user(), user=doctor, site=other_site, role="doctor")
    page = html(browser(doctor).get(HOME))
    assert f'<option value="{site.pk}">' in page
    assert f'<option value="{other_site.pk}">' in page


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "山田^太郎", "مثال^ليلى"])
def test_names_of_every_script_are_text_of_their_own_direction(browser, doctor, site, name):
    study = StudyFactory(patient=PatientFactory(site=site, person_name=name))
    page = html(browser(doctor).get(HOME))
    assert "<script>alert" not in page
    shown = study.patient.display_name.replace("<", "&lt;").replace(">", "&gt;")
    assert f"<bdi>{shown}</bdi>" in page


def test_the_newest_study_comes_first_and_pages_follow(browser, doctor, site):
    studies = [StudyFactory(patient=PatientFactory(site=site, mrn=f"N-{n:03}")) for n in range(PAGE_SIZE + 2)]
    first, second = browser(doctor).get(HOME), browser(doctor).get(HOME, {"page": 2})
    assert f"{PAGE_SIZE + 2} studies, newest first" in text(first)
    assert "Page 1 of 2" in text(first)
    assert [row.study for row in first.context["rows"]] == studies[:1:-1]
    assert [row.study for row in second.context["rows"]] == studies[1::-1]


@pytest.mark.parametrize("page", ["0", "99", "-1", "x", "²"])
def test_a_page_that_does_not_exist_is_the_nearest_that_does(browser, doctor, study, page):
    response = browser(doctor).get(HOME, {"page": page})
    assert response.status_code == 200
    assert "Example, Ana" in text(response)


def queries_of(client):
    with CaptureQueriesContext(connection) as queries:
        assert client.get(HOME).status_code == 200
    return len(queries)


def full_row(site):
    patient = PatientFactory(site=site)
    LabResultFactory(patient=patient)
    study = StudyFactory(patient=patient)
    for _ in range(2):
        PredictionFactory(image=ImageFactory(study=study), done=True)


def test_more_rows_take_no_more_queries(browser, doctor, site):
    client = browser(doctor)
    full_row(site)
    client.get(HOME)
    one = queries_of(client)
    for _ in range(8):
        full_row(site)
    assert queries_of(client) == one


def test_a_search_finds_by_name_and_record_number(browser, doctor, site, study):
    StudyFactory(patient=PatientFactory(site=site, mrn="OTHER-7", person_name="Müller^Jürgen"))
    client = browser(doctor)
    for query in ("müller", "other-7", "jürgen müll"):
        response = client.post(SEARCH, {"q": query}, headers=HTMX)
        assert "1 study matches" in text(response)
        assert "Müller, Jürgen" in text(response)
        assert "Example" not in text(response)


def test_without_a_script_a_search_comes_back_to_the_worklist(browser, doctor, study):
    client = browser(doctor)
    response = client.post(SEARCH, {"q": "Example"})
    assert (response.status_code, response["Location"]) == (302, HOME)
    assert "1 study matches “ Example ”" in text(client.get(HOME))
    client.post(SEARCH, {"q": ""})
    assert "1 study, newest first" in text(client.get(HOME))


def test_a_search_is_on_record_and_an_empty_one_is_not(browser, doctor, study):
    client = browser(doctor)
    client.post(SEARCH, {"q": "  Example\x00 Ana "}, headers=HTMX)
    client.post(SEARCH, {"q": "   "}, headers=HTMX)
    event = AuditEvent.objects.get(action="records_searched")
    assert event.actor == doctor
    assert event.details == {"records": "studies", "query": "Example Ana"}


def test_a_search_is_no_address_that_a_log_would_keep(browser, doctor, study):
    assert browser(doctor).get(SEARCH, {"q": "Example"}).status_code == 405
    assert browser(doctor).get(HOME, {"q": "Nobody"}).context["query"] == ""


def test_what_was_searched_for_is_text(browser, doctor, study):
    page = html(browser(doctor).post(SEARCH, {"q": "<img src=x>"}, headers=HTMX))
    assert "<img src=x>" not in page
    assert "No study matches." in page


def test_an_outsider_finds_nothing(browser, outsider, study):
    assert "0 studies match" in text(browser(outsider).post(SEARCH, {"q": "Example"}, headers=HTMX))


def test_the_page_asks_again_only_while_an_analysis_is_on_its_way(browser, doctor, study, prediction):
    assert "every 3s" not in html(browser(doctor).get(HOME))
    PredictionFactory(image=ImageFactory(study=study))
    page = html(browser(doctor).get(HOME))
    assert f'hx-post="{REFRESH}"' in page
    assert "every 3s" in page


def test_a_refresh_keeps_the_rows_and_their_order_whatever_came_meanwhile(browser, doctor, site):
    old = StudyFactory(patient=PatientFactory(site=site))
    shown = StudyFactory(patient=PatientFactory(site=site))
    StudyFactory(patient=PatientFactory(site=site))
    response = browser(doctor).post(REFRESH, {"study": [str(old.pk), str(shown.pk)]}, headers=HTMX)
    assert [row.study for row in response.context["rows"]] == [old, shown]
    assert "hx-post" not in html(response)


def test_a_refresh_shows_nothing_of_another_hospital_and_survives_nonsense(browser, outsider, study):
    response = browser(outsider).post(REFRESH, {"study": [str(study.pk), "'; --", ""]}, headers=HTMX)
    assert response.status_code == 200
    assert response.context["rows"] == []


def test_a_refreshed_row_shows_the_state_of_now(browser, doctor, study):
    client = browser(doctor)
    assert StudyStatus.TO_READ.label in text(client.post(REFRESH, {"study": str(study.pk)}, headers=HTMX))
    type(study).objects.update(status=StudyStatus.READ)
    assert "Read" in text(client.post(REFRESH, {"study": str(study.pk)}, headers=HTMX))


def test_the_header_says_who_one_is_and_where(browser, doctor, admin, site):
    page = text(browser(doctor).get(HOME))
    assert "Dora Doctor" in page
    assert f"Doctor, {site.name}" in page
    assert "Administration" not in page
    assert "Administration" in text(browser(admin).get(HOME))


def test_times_are_those_of_the_hospitals_clock(browser, doctor, site):
    taken = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    StudyFactory(patient=PatientFactory(site=site), performed_at=taken)
    assert "2 Jul 2026, 00:30" in text(browser(doctor).get(HOME))
