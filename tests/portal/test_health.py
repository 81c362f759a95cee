"""``/healthz``: what is up and what is not, for anyone who asks, and nothing else."""

import pytest
from django.core.cache import cache

from cxr_portal import health

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _as_after_a_start():
    cache.clear()
    health._migrated.cache_clear()
    yield
    cache.clear()
    health._migrated.cache_clear()


def test_all_is_up_once_a_worker_has_told(client):
    health.worker_seen()

    response = client.get("/healthz")

    assert response.status_code == 200
    assert response.json() == {"status": "ok", "database": "ok", "worker": "ok"}
    assert "no-store" in response["Cache-Control"]


def test_a_worker_that_never_told_is_missing(client):
    response = client.get("/healthz")

    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "database": "ok", "worker": "no worker has answered"}


def test_a_worker_that_left_is_missing(client):
    health.worker_seen()
    health.worker_left()

    assert client.get("/healthz").status_code == 503


def test_a_worker_that_fell_silent_is_missing(client, monkeypatch):
    monkeypatch.setattr(health, "WORKER_SILENCE_SECONDS", 0)
    health.worker_seen()

    assert client.get("/healthz").json()["worker"] == "no worker has answered"


def test_migrations_that_wait_are_said(client, monkeypatch):
    health.worker_seen()
    monkeypatch.setattr(
        "cxr_portal.health.MigrationExecutor.migration_plan", lambda self, targets: [("a", False)]
    )

    response = client.get("/healthz")

    assert response.status_code == 503
    assert response.json()["database"] == "migrations are waiting"


def test_a_database_that_does_not_answer_is_said_without_its_error(client, monkeypatch):
    def no_cursor():
        raise OSError("could not connect to db.internal as portal")

    monkeypatch.setattr("cxr_portal.health.connection.cursor", no_cursor)

    response = client.get("/healthz")

    assert response.status_code == 503
    assert response.json()["database"] == "does not answer"
    assert "internal" not in response.content.decode()


def test_migrations_are_looked_up_once(client, django_assert_max_num_queries):
    health.worker_seen()
    client.get("/healthz")

    with django_assert_max_num_queries(1):
        assert client.get("/healthz").status_code == 200


def test_it_answers_get_alone(client):
    assert client.post("/healthz").status_code == 405
