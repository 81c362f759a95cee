"""Settings from environment variables: read once, checked at the start, listed in one table."""

import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from environs import FileAwareEnv

from cxr_portal import env as environment_module
from cxr_portal.env import BadSetting, Environment, read_environment
from tests.harness.portal import ROOT, clean_environment

PRODUCTION = {
    "CXR_MODE": "production",
    "SECRET_KEY": secrets.token_urlsafe(50),
    "AUDIT_HMAC_KEY": secrets.token_urlsafe(50),
    "DEIDENTIFICATION_KEY": secrets.token_urlsafe(50),
    "DATABASE_URL": "postgres://portal:secret@db:5432/portal",
    "REDIS_URL": "redis://redis:6379/0",
    "EMAIL_URL": "submission://mail.example",
    "ALLOWED_HOSTS": "portal.example",
}


@pytest.fixture
def read(monkeypatch, tmp_path):
    """Reads the settings from these variables alone."""

    def _read(**variables: str) -> Environment:
        environ = {"CXR_VAR_DIR": str(tmp_path / "var"), **variables}
        monkeypatch.setattr("os.environ", environ)
        return read_environment()

    return _read


def test_without_any_variable_the_portal_needs_no_server(read, tmp_path):
    environment = read()

    assert environment.mode == "embedded"
    assert environment.database["ENGINE"] == "django.db.backends.sqlite3"
    assert environment.redis_url is None
    assert environment.allowed_hosts == ["localhost", "127.0.0.1", "[::1]"]
    assert environment.media_dir == tmp_path / "var" / "media"


def test_the_embedded_mode_makes_its_keys_once_and_for_the_owner_alone(read, tmp_path):
    first, second = read(), read()

    assert first.secret_key == second.secret_key
    assert first.secret_key != first.audit_hmac_key
    assert len(first.secret_key) >= 50
    for name in ("secret-key", "audit-hmac-key"):
        assert (tmp_path / "var" / name).stat().st_mode & 0o777 == 0o600


def test_production_takes_all_that_it_requires(read):
    environment = read(**PRODUCTION)

    assert environment.mode == "production"
    assert environment.ssl_redirect
    assert environment.database["HOST"] == "db"
    assert environment.public_url == "https://portal.example"


@pytest.mark.parametrize("name", sorted(PRODUCTION.keys() - {"CXR_MODE"}))
def test_production_does_not_start_without(read, name):
    with pytest.raises(BadSetting, match=f"^The environment variable {name} is missing: "):
        read(**{key: value for key, value in PRODUCTION.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("CXR_MODE", "prod", "one of: embedded, production"),
        ("CXR_MAX_UPLOAD_BYTES", "64MB", "integer"),
        ("CXR_ANALYSIS_TIME_LIMIT", "0", "greater than or equal to 10"),
        ("CXR_SESSION_MAX_SECONDS", "60", "greater than or equal to 900"),
        ("CXR_RUNTIME", "torch", "one of: onnx, keras"),
        ("CXR_SSL_REDIRECT", "perhaps", "boolean"),
        ("TIME_ZONE", "Mars/Olympus", "IANA time zone"),
        ("LOG_LEVEL", "LOUD", "one of: DEBUG"),
        ("SECRET_KEY", "django-insecure-0123456789012345678901234567890123456789", "random"),
        ("SECRET_KEY", "a" * 60, "random"),
        ("DATABASE_URL", "mysql://localhost/portal", "start with postgres"),
        ("DATABASE_URL", "postgres://user:hidden@host:port/portal", "not a valid address"),
        ("REDIS_URL", "amqp://localhost", "start with redis://"),
        ("EMAIL_URL", "mail.example", "start with submission://"),
        ("ALLOWED_HOSTS", "*", "each host"),
        ("CXR_PUBLIC_URL", "portal.example", "start with https://"),
        ("CXR_TRUSTED_PROXY_COUNT", "-1", "greater than or equal to 0"),
    ],
)
def test_a_malformed_value_stops_the_start_and_says_why(read, name, value, why):
    with pytest.raises(BadSetting) as stop:
        read(**{name: value})

    text = str(stop.value)
    assert text.startswith(f"The environment variable {name} is malformed: ")
    assert why in text
    assert "\n" not in text
    assert "hidden" not in text


def test_production_keeps_its_records_in_postgresql(read):
    with pytest.raises(BadSetting, match="DATABASE_URL is malformed: It must start with postgres://"):
        read(**PRODUCTION | {"DATABASE_URL": "sqlite:////data/db.sqlite3"})


def test_a_secret_may_stand_in_a_file(read, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(PRODUCTION["SECRET_KEY"] + "\n")
    variables = {key: value for key, value in PRODUCTION.items() if key != "SECRET_KEY"}

    assert read(**variables, SECRET_KEY_FILE=str(secret)).secret_key == PRODUCTION["SECRET_KEY"]


def test_a_process_ends_with_one_line_and_no_traceback(tmp_path):
    result = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=clean_environment(CXR_MODE="hospital", CXR_VAR_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    assert result.stderr == (
        "The environment variable CXR_MODE is malformed: It must be one of: embedded, production.\n"
    )


def test_the_table_of_the_documentation_lists_every_variable_and_no_other(monkeypatch, read):
    envs = []

    class RecordingEnv(FileAwareEnv):
        def __init__(self, **options):
            super().__init__(**options)
            envs.append(self)

    monkeypatch.setattr(environment_module, "FileAwareEnv", RecordingEnv)
    read()
    table = Path(ROOT / "docs" / "operations.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", table, flags=re.MULTILINE))

    assert documented == set(envs[0].dump())
