"""The production processes, with the commands of ``docker-compose.yml``, on real PostgreSQL, Redis and nginx."""

import contextlib
import http.client
import ssl
from urllib.parse import urlsplit

import pytest
import requests

from cxr_portal.celery import app
from tests.harness.portal import ProductionPortal

pytestmark = pytest.mark.xdist_group("production")


@pytest.fixture
def client(production: ProductionPortal) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # A bundle of the machine would take the place of the certificate below.
    session.verify = str(production.certificate)
    return session


def test_health_is_ok_once_database_worker_and_web_are_up(production, client):
    response = client.get(f"{production.url}/healthz", timeout=10)

    assert response.status_code == 200
    assert response.json() == {"status": "ok", "database": "ok", "worker": "ok"}


def test_the_login_page_and_its_styles_come_through_nginx(production, client):
    login = client.get(f"{production.url}/accounts/login/", timeout=10)
    style = client.get(f"{production.url}/static/admin/css/base.css", timeout=10)

    assert login.status_code == 200
    assert 'name="password"' in login.text
    assert style.status_code == 200
    assert style.headers["Content-Type"].startswith("text/css")


def test_plain_http_is_sent_to_https(production, client):
    response = client.get(f"{production.http_url}/accounts/login/", allow_redirects=False, timeout=10)

    assert response.status_code == 301
    assert response.headers["Location"] == "https://localhost/accounts/login/"


def test_cookies_are_bound_to_the_host_and_to_tls(production, client):
    response = client.get(f"{production.url}/accounts/login/", timeout=10)

    (cookie,) = response.headers["Set-Cookie"].split(", __Host-sid")[:1]
    assert cookie.startswith("__Host-csrf=")
    for attribute in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert attribute in cookie


def test_the_browser_is_told_to_load_nothing_from_elsewhere(production, client):
    headers = client.get(f"{production.url}/accounts/login/", timeout=10).headers

    assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "unsafe-inline" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_a_host_that_is_not_ours_gets_400(production, client):
    response = client.get(f"{production.url}/accounts/login/", headers={"Host": "evil.example"}, timeout=10)

    assert response.status_code == 400


def test_a_request_over_the_limit_of_nginx_is_refused_with_a_sentence_before_it_is_sent(production):
    address = urlsplit(production.url)
    trust = ssl.create_default_context(cafile=str(production.certificate))
    with contextlib.closing(
        http.client.HTTPSConnection(str(address.hostname), address.port, context=trust, timeout=10)
    ) as connection:
        connection.putrequest("POST", "/accounts/login/")
        connection.putheader("Content-Length", str(600 * 2**20))
        connection.endheaders()
        response = connection.getresponse()

        assert response.status == 413
        assert "Send fewer files at a time" in response.read().decode()


def test_the_worker_takes_a_task_from_redis_and_does_it_in_postgresql(production):
    with app.connection_for_write(production.env["REDIS_URL"]) as connection:
        task = app.send_task("diagnosis.tasks.relay_outbox", connection=connection)

    production.wait_for_log("worker", f"relay_outbox[{task.id}] succeeded")


def test_an_address_that_the_client_claims_is_not_believed(production, client):
    client.get(f"{production.url}/healthz", headers={"X-Forwarded-For": "203.0.113.9"}, timeout=10)

    assert "203.0.113.9" not in production.log("web")


def test_no_secret_and_no_query_is_in_any_log(production, client):
    client.get(f"{production.url}/accounts/login/?next=/canary-name", timeout=10)

    logs = "".join(production.log(name) for name in ("web", "worker", "beat", "nginx"))
    assert "accounts/login/" in logs
    names = ("SECRET_KEY", "AUDIT_HMAC_KEY", "DEIDENTIFICATION_KEY")
    for secret in ("canary-name", *(production.env[name] for name in names)):
        assert secret not in logs
