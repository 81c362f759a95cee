"""The page after login: who sees which studies, how they are found, how the list stays fresh."""

import re
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from diagnosis.models import AuditEvent, SavedFilter, Study, StudyStatus
from diagnosis.selectors.reading import image_set_of
from diagnosis.selectors.studies import second_opinion, studies_with_opinion
from diagnosis.selectors.worklist import PAGE_SIZE
from diagnosis.services.accounts import membership_set, system_user
from diagnosis.services.first_reads import first_read_lock
from diagnosis.services.reviews import review_sign
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
    [row] = response.context["worklist"].rows
    assert row.study == one_of_each[state].image.study
    assert row.opinion_chip.text == OPINIONS[state][1]
    assert "1 study, newest first" in text(response)


def test_a_later_opinion_on_the_same_image_counts_and_not_the_refusal_before(browser, doctor, one_of_each):
    PredictionFactory(
        image=one_of_each["refused"].image,
        model_version__name="newer",
        model_version__is_active=False,
        done=True,
    )
    response = browser(doctor).get(HOME, {"opinion": "refused"})
    assert response.context["worklist"].rows == ()
    assert "No such study." in text(response)


def test_a_search_stays_narrowed_and_a_kind_that_does_not_exist_narrows_nothing(browser, doctor, one_of_each):
    client = browser(doctor)
    response = client.post(SEARCH, {"q": "Example", "opinion": "unsure"}, headers=HTMX)
    assert "1 study matches “ Example ”" in text(response)
    [row] = response.context["worklist"].rows
    assert row.study == one_of_each["unsure"].image.study
    assert len(client.get(HOME, {"opinion": "'; --"}).context["worklist"].rows) == 5


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
    client = browser(doctor)
    first = client.get(HOME)
    assert f"{PAGE_SIZE + 2} studies, newest first" in text(first)
    assert 'rel="prev"' not in html(first)
    second = client.get(first.context["worklist"].next_url)
    assert [row.study for row in first.context["worklist"].rows] == studies[:1:-1]
    assert [row.study for row in second.context["worklist"].rows] == studies[1::-1]
    assert 'rel="next"' not in html(second)
    back = client.get(second.context["worklist"].previous_url)
    assert [row.study for row in back.context["worklist"].rows] == studies[:1:-1]


@pytest.mark.parametrize("place", ["after", "before"])
@pytest.mark.parametrize("value", ["0", "99", "-1", "x", "²", "2026-01-01~x"])
def test_a_place_that_does_not_exist_is_the_first_page(browser, doctor, study, place, value):
    response = browser(doctor).get(HOME, {"status": "all", place: value})
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
    assert browser(doctor).get(HOME, {"q": "Nobody"}).context["worklist"].query == ""


def test_what_was_searched_for_is_text(browser, doctor, study):
    page = html(browser(doctor).post(SEARCH, {"q": "<img src=x>"}, headers=HTMX))
    assert "<img src=x>" not in page
    assert "No study matches." in page


def test_an_outsider_finds_nothing(browser, outsider, study):
    assert "0 studies match" in text(browser(outsider).post(SEARCH, {"q": "Example"}, headers=HTMX))


def test_the_page_asks_more_often_while_an_analysis_is_on_its_way(browser, doctor, study, prediction):
    assert "every 20s" in html(browser(doctor).get(HOME))
    PredictionFactory(image=ImageFactory(study=study))
    page = html(browser(doctor).get(HOME))
    assert f'hx-post="{REFRESH}"' in page
    assert "every 3s" in page


def test_a_refresh_keeps_the_rows_and_their_order_whatever_came_meanwhile(browser, doctor, site):
    old = StudyFactory(patient=PatientFactory(site=site))
    shown = StudyFactory(patient=PatientFactory(site=site))
    StudyFactory(patient=PatientFactory(site=site))
    response = browser(doctor).post(REFRESH, {"study": [str(old.pk), str(shown.pk)]}, headers=HTMX)
    assert [row.study for row in response.context["worklist"].rows] == [old, shown]


def test_a_refresh_shows_nothing_of_another_hospital_and_survives_nonsense(browser, outsider, study):
    response = browser(outsider).post(REFRESH, {"study": [str(study.pk), "'; --", ""]}, headers=HTMX)
    assert response.status_code == 200
    assert response.context["worklist"].rows == ()


def test_a_refreshed_row_shows_the_state_of_now(browser, doctor, study):
    client = browser(doctor)
    assert str(StudyStatus.TO_READ.label) in text(
        client.post(REFRESH, {"study": str(study.pk)}, headers=HTMX)
    )
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


# Views, filters, counts


def to_read(site, **values):
    return StudyFactory(patient=PatientFactory(site=site), status="to_read", **values)


def shown(response):
    return [row.study for row in response.context["worklist"].rows]


def counted(response):
    return {view.name: str(count) for view, count in response.context["worklist"].views}


def test_who_reads_begins_with_what_is_to_be_read_most_urgent_first(browser, doctor, radiologist, site):
    read = StudyFactory(patient=PatientFactory(site=site), status="read")
    routine, stat, urgent = (to_read(site, priority=priority) for priority in ("routine", "stat", "urgent"))
    assert shown(browser(radiologist).get(HOME)) == [stat, urgent, routine]
    assert shown(browser(doctor).get(HOME)) == [urgent, stat, routine, read]
    assert shown(browser(radiologist).get(HOME, {"view": "all"})) == [urgent, stat, routine, read]


def test_a_search_without_a_chosen_view_looks_everywhere_and_within_one_stays_there(
    browser, radiologist, site
):
    read = StudyFactory(patient=PatientFactory(site=site, person_name="Same^A"), status="read")
    StudyFactory(patient=PatientFactory(site=site, person_name="Same^B"), status="to_read")
    client = browser(radiologist)
    assert len(shown(client.post(SEARCH, {"q": "same"}, headers=HTMX))) == 2
    assert read not in shown(client.post(SEARCH, {"q": "same", "view": "open"}, headers=HTMX))
    empty = client.post(SEARCH, {"q": "same", "view": "mine"}, headers=HTMX)
    assert "Search in all studies" in text(empty)


def test_each_view_says_how_many_it_holds_and_all_need_no_count(browser, radiologist, site):
    to_read(site, priority="stat")
    to_read(site, assigned_to=radiologist)
    numbers = counted(browser(radiologist).get(HOME))
    assert numbers == {
        "To read": "2",
        "Mine": "1",
        "Stat": "1",
        "Waiting for PCR": "2",
        "AI refused": "0",
        "Disagreement": "0",
        "PCR discrepancies": "0",
        "Second reads for me": "0",
        "All": "0",
    }


def test_a_refresh_counts_anew_and_tells_of_new_studies_without_showing_them(browser, radiologist, site):
    first = to_read(site)
    client = browser(radiologist)
    page = client.get(HOME)
    to_read(site, priority="stat")
    to_read(site)
    state = page.context["worklist"].state
    response = client.post(REFRESH, {**state, "study": str(first.pk)}, headers=HTMX)
    assert shown(response) == [first]
    assert counted(response)["Stat"] == "1"
    assert "2 new studies: show" in text(response)
    again = client.post(REFRESH, {**response.context["worklist"].state, "study": str(first.pk)}, headers=HTMX)
    assert "2 new studies: show" in text(again)
    assert "new stud" not in text(client.get(HOME)).replace("Show new studies", "")


def test_a_view_is_kept_counted_made_the_first_deleted_and_brought_back(browser, radiologist, site):
    urgent, _ = to_read(site, priority="urgent"), to_read(site)
    client = browser(radiologist)
    save = reverse("web:view_save")
    kept = client.post(save, {"status": "open", "priority": "urgent", "name": "Nights", "default": "1"})
    assert shown(client.get(kept["Location"])) == [urgent]
    assert shown(client.get(HOME)) == [urgent]
    assert counted(client.get(HOME))["Nights"] == "1"
    saved_id = client.get(HOME).context["worklist"].view.saved_id
    assert client.post(reverse("web:view_delete", args=[saved_id])).status_code == 302
    page = client.get(HOME)
    assert "The view “Nights” is deleted. Undo" in text(page)
    assert "Nights" not in counted(page)
    assert len(shown(page)) == 2
    assert "Undo" not in text(client.get(HOME))
    client.post(reverse("web:view_restore", args=[saved_id]))
    assert counted(client.get(HOME))["Nights"] == "1"


def test_what_was_searched_for_is_never_kept_with_a_view(browser, radiologist, study):
    client = browser(radiologist)
    client.post(SEARCH, {"q": "Example"})
    client.post(reverse("web:view_save"), {"name": "V", "status": "open", "q": "Example", "after": "x"})
    assert list(SavedFilter.objects.values_list("query", flat=True)) == [{"status": "open"}]


def test_a_name_that_is_missing_is_said_and_nothing_is_kept(browser, radiologist, study):
    client = browser(radiologist)
    response = client.post(reverse("web:view_save"), {"name": " ", "status": "open"}, follow=True)
    assert "Give the view a name." in text(response)
    assert not SavedFilter.objects.exists()


def test_a_view_of_somebody_else_does_not_exist(browser, radiologist, second_radiologist):
    saved = SavedFilter.objects.create(user=radiologist, name="Nights", query={})
    client = browser(second_radiologist)
    for name in ("view_delete", "view_restore"):
        assert client.post(reverse(f"web:{name}", args=[saved.pk])).status_code == 404
    assert client.post(reverse("web:view_default"), {"view": f"own-{saved.pk}"}).status_code == 404
    assert client.get(HOME, {"view": f"own-{saved.pk}"}).context["worklist"].view.key == "all"


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("open", "Nothing waits for a read. New studies appear here by themselves."),
        ("mine", "Nothing is yours to read. Open a study to claim it"),
        ("stat", "No such study. Nothing fits this view now."),
    ],
)
def test_an_empty_view_says_what_to_do(browser, radiologist, view, words):
    assert words in text(browser(radiologist).get(HOME, {"view": view}))


def test_two_hospitals_are_named_in_the_rows_and_narrow_the_list(browser, doctor, site, other_site):
    here, there = to_read(site), to_read(other_site)
    membership_set(actor=system_user(), user=doctor, site=other_site, role="doctor")
    page = browser(doctor).get(HOME)
    assert shown(page) == [there, here]
    assert "Elsewhere General" in html(page).partition("worklist-rows")[2]
    assert shown(browser(doctor).get(HOME, {"site": str(other_site.pk)})) == [there]


def test_the_page_takes_thirteen_queries_at_most(browser, radiologist, site):
    for _ in range(3):
        full_row(site)
    client = browser(radiologist)
    client.get(HOME)
    assert queries_of(client) <= 13


def test_the_next_study_is_that_of_the_list_that_was_on_screen(browser, radiologist, site):
    first, second = to_read(site, priority="stat"), to_read(site)
    client = browser(radiologist)
    client.get(HOME)
    to_second = client.get(reverse("web:next_study", args=[first.pk]))
    assert to_second["Location"] == reverse("web:study", args=[second.pk])
    back = client.get(reverse("web:next_study", args=[second.pk]), {"back": ""})
    assert back["Location"] == reverse("web:study", args=[first.pk])
    assert client.get(reverse("web:next_study", args=[second.pk]))["Location"] == HOME
    client.get(HOME, {"view": "stat"})
    assert client.get(reverse("web:next_study", args=[first.pk]))["Location"] == HOME


# Read first: what the network said of a case that this reader has not locked counts neither way


@pytest.fixture
def read_first(site):
    site.reading_protocol = "read-first"
    site.save()
    return site


@pytest.mark.parametrize("state", OPINIONS)
def test_before_the_own_read_nothing_in_the_list_tells_what_the_network_said(
    browser, radiologist, read_first, state
):
    """The list of a study with this opinion is, byte for byte, that of one that the network was never asked about."""
    study = to_read(read_first)
    image = ImageFactory(study=study)
    client = browser(radiologist)
    addresses = [
        {}, {"view": "all"}, {"view": "refused"}, {"view": "disagreement"}, {"sort": "name"}, {"pcr": "none"},
        {"status": "open", "sort": "suspicion"}, {"view": "discrepancy"}, {"view": "second_read"},
        *({"opinion": value} for value in OPINIONS),
    ]  # fmt: skip

    def seen():
        pages = [html(client.get(HOME, query)) for query in addresses]
        return [re.sub(r'name="(since|csrfmiddlewaretoken)" value="[^"]*"', "", page) for page in pages]

    seen()
    before = [re.sub(r'"X-CSRFToken": "[^"]*"', "", page) for page in seen()]
    PredictionFactory(image=image, **OPINIONS[state][0])
    if state == "pending":
        type(study).objects.filter(pk=study.pk).update(status="analysing")
    after = [re.sub(r'"X-CSRFToken": "[^"]*"', "", page) for page in seen()]
    assert after == before


def test_after_the_own_read_the_case_counts_for_this_reader_and_for_no_other(
    browser, radiologist, second_radiologist, read_first
):
    study = to_read(read_first)
    PredictionFactory(image=ImageFactory(study=study), refused=True)
    loaded = studies_with_opinion(Study.objects.all(), viewer=radiologist).get()
    first_read_lock(
        actor=radiologist,
        study=loaded,
        label="normal",
        confidence="likely",
        image_set=image_set_of(loaded.images.all()),
    )
    assert counted(browser(radiologist).get(HOME))["AI refused"] == "1"
    assert shown(browser(radiologist).get(HOME, {"view": "refused"})) == [study]
    assert counted(browser(second_radiologist).get(HOME))["AI refused"] == "0"
    assert shown(browser(second_radiologist).get(HOME, {"view": "refused"})) == []
