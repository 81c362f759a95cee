"""What a person is told when something does not work, and what nobody is told."""

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.urls import reverse

from diagnosis.errors import Conflict, NotPossible
from diagnosis.web.views import studies
from tests.web.conftest import HTMX
from tests.web.pages import html, text

SECRET = "Müller, born 1950, /srv/media/secret"


def page_that_fails(browser, user, study, monkeypatch, error):
    def fails(**_):
        raise error

    monkeypatch.setattr(studies, "study_open", fails)
    return browser(user).get(reverse("web:study", args=[study.pk]))


def test_an_unknown_address_is_not_found_in_a_sentence(browser, doctor):
    response = browser(doctor).get("/nothing/here/")
    assert response.status_code == 404
    assert "There is nothing at this address that you may see." in text(response)


def test_a_crash_is_told_in_neutral_words(browser, doctor, study, monkeypatch):
    response = page_that_fails(browser, doctor, study, monkeypatch, ValueError(SECRET))
    assert response.status_code == 500
    assert "a technical error, which was logged" in text(response)
    assert "Müller" not in html(response)


def test_a_database_that_does_not_answer_is_503_and_worth_another_try(browser, doctor, study, monkeypatch):
    response = page_that_fails(browser, doctor, study, monkeypatch, OperationalError(SECRET))
    assert response.status_code == 503
    assert "The portal is not available right now" in text(response)
    assert "Müller" not in html(response)


@pytest.mark.parametrize(
    ("error", "status"), [(Conflict("Somebody was faster."), 409), (NotPossible("This cannot be."), 400)]
)
def test_a_sentence_for_people_is_shown_to_them(browser, doctor, study, monkeypatch, error, status):
    response = page_that_fails(browser, doctor, study, monkeypatch, error)
    assert response.status_code == status
    assert str(error) in text(response)


def test_a_denial_that_is_not_ours_is_told_in_our_words(browser, doctor, study, monkeypatch):
    response = page_that_fails(browser, doctor, study, monkeypatch, PermissionDenied(SECRET))
    assert response.status_code == 403
    assert "Your account does not allow this." in text(response)
    assert "Müller" not in html(response)


@pytest.mark.parametrize("error", [ValueError(SECRET), OperationalError(SECRET)])
def test_the_pages_of_last_resort_ask_the_database_for_nothing(
    browser, doctor, study, monkeypatch, django_assert_num_queries, error
):
    from django.test import RequestFactory

    from diagnosis.web.errors import server_error

    request = RequestFactory().get("/")
    request.COOKIES["theme"] = "light"
    with django_assert_num_queries(0):
        try:
            raise error
        except type(error):
            response = server_error(request)
    assert b'data-theme="light"' in response.content


def test_a_whole_page_tells_the_script_that_it_is_no_fragment(browser, doctor):
    assert browser(doctor).get("/nothing/", headers=HTMX)["X-Error-Page"] == "1"


def test_after_the_session_a_refresh_sends_the_whole_page_to_the_login(browser, study):
    page = reverse("web:study", args=[study.pk])
    response = browser(None).get(
        reverse("web:study_live", args=[study.pk]),
        headers={**HTMX, "HX-Current-URL": f"http://testserver{page}?image=1"},
    )
    assert response["HX-Redirect"] == f"/accounts/login/?next={page}"


def test_the_way_back_after_the_login_leads_to_no_other_site(browser, study):
    response = browser(None).get(
        reverse("web:study_live", args=[study.pk]),
        headers={**HTMX, "HX-Current-URL": "https://evil.example//evil.example/x"},
    )
    assert response["HX-Redirect"] == "/accounts/login/?next=/"


def test_after_the_session_a_form_is_answered_with_401_so_that_the_page_stays(browser, study):
    response = browser(None).post(reverse("web:review", args=[study.pk]), {"note": "typed"}, headers=HTMX)
    assert response.status_code == 401
    assert response.content == b""


def test_a_page_that_asks_by_itself_does_not_keep_an_abandoned_session_open(browser, doctor, study):
    client = browser(doctor)
    live = reverse("web:study_live", args=[study.pk])
    client.get(live, headers={**HTMX, "X-Poll": "1"})
    assert "seen_at" not in client.session
    client.get(live, headers=HTMX)  # The same fragment, asked for while somebody types.
    assert "seen_at" in client.session


def test_too_many_tries_at_the_login_are_told_in_a_sentence(browser, db):
    from django.core.cache import cache

    cache.clear()
    client = browser(None)
    for _ in range(12):
        response = client.post("/accounts/login/", {"login": "nobody", "password": "wrong"})
    cache.clear()
    assert "Too many" in text(response)


def test_the_login_offers_no_sign_up(browser, db):
    page = browser(None).get("/accounts/login/")
    assert "Username or email" in text(page)
    assert "signup" not in html(page)
    assert "Accounts are made by an administrator" in text(browser(None).get("/accounts/signup/"))


@pytest.mark.parametrize("path", ["password/change/", "email/", "logout/", "reauthenticate/"])
def test_pages_about_ones_own_account_look_like_the_portal(browser, doctor, path):
    response = browser(doctor).get(f"/accounts/{path}")
    assert response.status_code == 200
    assert "CXR Portal" in text(response)


@pytest.mark.parametrize("theme", ["dark", "light", "<script>", ""])
def test_the_chosen_theme_is_written_into_the_page(browser, db, theme):
    client = browser(None)
    client.cookies["theme"] = theme
    page = html(client.get("/accounts/login/"))
    assert (f'data-theme="{theme}"' in page) == (theme in {"dark", "light"})
    assert "<script>" not in page.replace('<script type="module"', "")
