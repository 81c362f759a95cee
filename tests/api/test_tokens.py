"""Getting a token, using it, and giving it back."""

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from diagnosis.models import AuditEvent
from diagnosis.services.accounts import system_user
from diagnosis.services.tokens import token_issue
from tests.factories import PASSWORD

TOKEN = "/api/v1/auth/token/"
ME = "/api/v1/me/"


@pytest.fixture
def anonymous():
    return APIClient(raise_request_exception=False)


def ask(client, username, password=PASSWORD, **extra):
    return client.post(TOKEN, {"username": username, "password": password}, format="json", **extra)


def with_token(token):
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


def test_a_password_gives_a_token_that_says_whose_it_is(anonymous, doctor):
    response = ask(anonymous, "doctor")
    assert response.status_code == 201
    body = response.json()
    assert body["user"] == {"id": doctor.pk, "username": "doctor", "name": "Dora Doctor"}
    assert dt.datetime.fromisoformat(body["expiry"]) > timezone.now()
    assert with_token(body["token"]).get(ME).json()["username"] == "doctor"


def test_a_form_is_taken_as_well_as_json(anonymous, doctor):
    assert anonymous.post(TOKEN, {"username": "doctor", "password": PASSWORD}).status_code == 201


def test_the_database_holds_no_token_that_could_be_used(anonymous, doctor):
    token = ask(anonymous, "doctor").json()["token"]
    stored = AuthToken.objects.get()
    assert token not in (stored.digest, stored.token_key)
    assert with_token(stored.digest).get(ME).status_code == 401


def test_the_token_is_on_record_without_its_secret(anonymous, doctor):
    token = ask(anonymous, "doctor").json()["token"]
    event = AuditEvent.objects.get(action="token_created")
    assert (event.actor, event.ip_address) == (doctor, "127.0.0.1")
    assert token not in str(event.details)


@pytest.mark.parametrize("username", ["doctor", "nobody", "closed", "system-analysis"])
def test_every_failed_login_gets_the_same_answer(anonymous, doctor, radiologist, username):
    radiologist.username, radiologist.is_active = "closed", False
    radiologist.save()
    system_user()
    response = ask(anonymous, username, PASSWORD if username == "closed" else "wrong")
    assert response.status_code == 401
    assert response.json() == {
        "detail": "The user name or the password is not right.",
        "code": "authentication_failed",
    }
    assert not AuthToken.objects.exists()


def test_a_failed_login_is_on_record_and_a_password_typed_as_a_name_is_not(anonymous, doctor):
    ask(anonymous, "doctor", "wrong")
    ask(anonymous, "my secret passphrase", "wrong")
    failed = AuditEvent.objects.filter(action="login_failed").order_by("seq")
    assert [event.actor_name for event in failed] == ["doctor", "unknown account"]
    assert not any(event.succeeded for event in failed)


def test_guessing_is_stopped_and_the_right_password_does_not_help_then(anonymous, doctor):
    answers = [ask(anonymous, "doctor", f"guess {n}").status_code for n in range(6)]
    assert answers[:5] == [401] * 5
    assert answers[5] == 429
    assert ask(anonymous, "doctor").status_code == 429


def test_an_address_gets_no_more_tokens_by_writing_another_into_a_header(anonymous, doctor):
    answers = [ask(anonymous, "doctor", HTTP_X_FORWARDED_FOR=f"10.0.0.{n}").status_code for n in range(31)]
    assert answers == [201] * 30 + [429]


def test_an_address_gets_no_more_guesses_by_writing_another_into_a_header(anonymous, doctor):
    for n in range(10):
        ask(anonymous, f"user{n}", "wrong", HTTP_X_FORWARDED_FOR=f"10.0.0.{n}")
    assert ask(anonymous, "doctor", HTTP_X_FORWARDED_FOR="10.9.9.9").status_code == 429


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "doctor"},
        {"username": "doctor", "password": ""},
        {"username": "a\x00b", "password": "x"},
    ],
)
def test_a_request_without_name_or_password_is_told_what_is_missing(anonymous, doctor, body):
    response = anonymous.post(TOKEN, body, format="json")
    assert response.status_code == 400
    assert response.json()["errors"]


def test_a_token_that_was_given_back_opens_nothing(api, doctor):
    assert api.post("/api/v1/auth/logout/").status_code == 204
    assert api.get(ME).status_code == 401
    assert AuditEvent.objects.filter(action="logout", actor=doctor).count() == 1


def test_giving_back_one_token_leaves_the_persons_others(api, client_of, doctor):
    other = client_of(doctor)
    api.post("/api/v1/auth/logout/")
    assert other.get(ME).status_code == 200


def test_a_session_has_no_token_to_give_back(doctor):
    client = APIClient()
    client.force_login(doctor)
    response = client.post("/api/v1/auth/logout/")
    assert response.status_code == 400
    assert "without a token" in response.json()["detail"]


def test_an_expired_token_opens_nothing(api):
    AuthToken.objects.update(expiry=timezone.now() - dt.timedelta(seconds=1))
    assert api.get(ME).status_code == 401


def test_the_token_of_a_closed_account_opens_nothing(api, doctor):
    doctor.is_active = False
    doctor.save()
    assert api.get(ME).status_code == 401


def test_a_new_password_ends_every_token_of_the_account_and_is_on_record(
    api, client_of, doctor, radiologist, client
):
    other = client_of(radiologist)
    client.force_login(doctor)
    new = "another long passphrase"
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert client.post(reverse("account_change_password"), form).status_code == 302
    assert api.get(ME).status_code == 401
    assert other.get(ME).status_code == 200
    event = AuditEvent.objects.get(action="access_changed", actor=doctor)
    assert event.details == {"username": "doctor", "fields": ["password"]}


def test_a_program_that_never_logs_out_keeps_its_newest_tokens(doctor):
    first = token_issue(user=doctor).secret
    last = [token_issue(user=doctor).secret for _ in range(10)][-1]
    assert AuthToken.objects.count() == 10
    assert with_token(first).get(ME).status_code == 401
    assert with_token(last).get(ME).status_code == 200


@pytest.mark.parametrize(
    "header", ["Token", "Token a b", "Token nonsense", "Token \xff\xfe", "Bearer x", "Token " + "a" * 5000]
)
def test_a_malformed_token_is_an_unknown_one(db, anonymous, header):
    response = anonymous.get(ME, HTTP_AUTHORIZATION=header)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Token"
    assert set(response.json()) == {"detail", "code"}


def test_a_session_of_the_pages_may_use_the_api_with_its_csrf_token_alone(doctor):
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(doctor)
    assert client.get(ME).status_code == 200
    assert client.post("/api/v1/patients/", {"mrn": "N-1"}, format="json").status_code == 403


def test_i_see_who_i_am_and_where_i_work(api, doctor, site):
    assert api.get(ME).json() == {
        "id": doctor.pk,
        "username": "doctor",
        "name": "Dora Doctor",
        "memberships": [
            {"site": {"id": site.pk, "name": "Saint Example", "time_zone": "Europe/Madrid"}, "role": "doctor"}
        ],
    }


def test_i_see_my_sites_alone(api, site, other_site):
    assert [row["name"] for row in api.get("/api/v1/sites/").json()["results"]] == ["Saint Example"]
