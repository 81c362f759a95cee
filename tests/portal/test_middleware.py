"""What holds for every request: whose address counts, how long a session lives, what a cache may keep."""

import time
from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.utils import timezone

from cxr_portal.middleware import ForwardedAddressMiddleware, SessionAgeMiddleware
from tests.factories import UserFactory


def _address_seen(rf, settings, *, proxies: int, header: str | None) -> str:
    settings.CXR_TRUSTED_PROXY_COUNT = proxies
    seen = []

    def view(request):
        seen.append(request.META["REMOTE_ADDR"])
        return HttpResponse()

    headers = {} if header is None else {"X-Forwarded-For": header}
    ForwardedAddressMiddleware(view)(rf.get("/", headers=headers, REMOTE_ADDR="10.0.0.1"))
    return seen[0]


@pytest.mark.parametrize(
    ("proxies", "header", "address"),
    [
        (0, None, "10.0.0.1"),
        (0, "203.0.113.9", "10.0.0.1"),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (2, "203.0.113.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        (2, "198.51.100.7", "10.0.0.1"),
        (1, None, "10.0.0.1"),
        (1, " , ", "10.0.0.1"),
    ],
)
def test_only_what_a_trusted_proxy_wrote_counts_as_the_address(rf, settings, proxies, header, address):
    assert _address_seen(rf, settings, proxies=proxies, header=header) == address


@pytest.fixture
def signed_in(client, db):
    client.force_login(UserFactory())
    return client


def _is_signed_in(client) -> bool:
    return client.get("/accounts/password/change/").status_code == 200


def test_a_session_ends_at_its_greatest_age_even_when_it_is_used(signed_in, settings, monkeypatch):
    assert _is_signed_in(signed_in)
    start = time.time()

    monkeypatch.setattr(
        "cxr_portal.middleware.time.time", lambda: start + settings.CXR_SESSION_MAX_SECONDS - 5
    )
    assert _is_signed_in(signed_in)
    monkeypatch.setattr(
        "cxr_portal.middleware.time.time", lambda: start + settings.CXR_SESSION_MAX_SECONDS + 5
    )
    assert not _is_signed_in(signed_in)


def test_a_session_in_use_is_written_at_most_once_a_minute(signed_in, monkeypatch):
    assert _is_signed_in(signed_in)
    start = time.time()
    seen = [signed_in.session["seen_at"]]
    for second in (10, 50, SessionAgeMiddleware.save_every_seconds + 1):
        monkeypatch.setattr("cxr_portal.middleware.time.time", lambda second=second: start + second)
        assert _is_signed_in(signed_in)
        seen.append(signed_in.session["seen_at"])

    assert seen[0] == seen[1] == seen[2] < seen[3]


def test_an_idle_session_ends_on_the_server_too(signed_in, settings, monkeypatch):
    assert _is_signed_in(signed_in)
    now = timezone.now()

    monkeypatch.setattr(timezone, "now", lambda: now + timedelta(seconds=settings.SESSION_COOKIE_AGE - 5))
    assert _is_signed_in(signed_in)
    monkeypatch.setattr(timezone, "now", lambda: now + timedelta(seconds=2 * settings.SESSION_COOKIE_AGE))
    assert not _is_signed_in(signed_in)


def test_nothing_that_a_signed_in_person_sees_is_cached(signed_in):
    response = signed_in.get("/accounts/password/change/")

    assert {"no-store", "private"} <= set(response["Cache-Control"].split(", "))


def test_what_a_token_opens_is_not_cached_either(client, db):
    response = client.get("/api/schema/", headers={"Authorization": "Token wrong"})

    assert "no-store" in response["Cache-Control"]
