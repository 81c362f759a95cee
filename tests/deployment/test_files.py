"""The files of the deployment fit together."""

import re
import subprocess

import pytest
import yaml

from cxr_portal.env import BASE_DIR
from tests.harness.binaries import require
from tests.harness.nginx import make_certificate, render
from tests.harness.portal import production_environment


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((BASE_DIR / "docker-compose.yml").read_text())


def test_the_composition_has_every_process_of_the_design(compose):
    assert {"nginx", "web", "worker", "beat", "postgres", "redis"} <= set(compose["services"])


def test_every_process_of_ours_runs_in_production_without_privileges(compose):
    for name in ("migrate", "web", "worker", "beat", "dicom-listener"):
        service = compose["services"][name]
        assert service["environment"]["CXR_MODE"] == "production"
        assert service["cap_drop"] == ["ALL"]
        assert service["init"] is True


def test_no_secret_has_a_default(compose):
    text = (BASE_DIR / "docker-compose.yml").read_text()

    used = re.findall(r"\$\{([A-Z_]+)([^}]*)\}", text)
    assert {name for name, _ in used} == {"POSTGRES_PASSWORD", "REDIS_PASSWORD"}
    assert all(rest.startswith(":?") for _, rest in used)


def test_the_example_names_every_secret_and_gives_none():
    lines = (BASE_DIR / "deploy" / "env.example").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    for name in (
        "SECRET_KEY",
        "AUDIT_HMAC_KEY",
        "DEIDENTIFICATION_KEY",
        "POSTGRES_PASSWORD",
        "REDIS_PASSWORD",
    ):
        assert values[name] == ""


def test_what_an_installation_keeps_is_in_a_volume(compose):
    volumes = compose["volumes"]
    mounts = {
        name: [mount.split(":")[0] for mount in service.get("volumes", [])]
        for name, service in compose["services"].items()
    }

    for name in ("web", "worker", "postgres", "redis"):
        assert set(mounts[name]) <= set(volumes)
        assert mounts[name]


def test_a_worker_is_given_the_time_of_one_analysis_to_stop(compose, settings):
    seconds = int(compose["services"]["worker"]["stop_grace_period"].removesuffix("s"))

    assert seconds > settings.CXR_ANALYSIS_TIME_LIMIT


def test_nginx_lets_a_file_of_the_greatest_size_through(settings):
    template = (BASE_DIR / "deploy" / "nginx.conf.template").read_text()
    (megabytes,) = re.findall(r"client_max_body_size (\d+)m;", template)

    assert int(megabytes) * 2**20 > settings.CXR_MAX_UPLOAD_BYTES + 2**20


def test_every_name_in_the_template_of_nginx_is_given_by_the_composition(compose):
    template = (BASE_DIR / "deploy" / "nginx.conf.template").read_text()

    assert set(re.findall(r"\$\{([A-Z_]+)\}", template)) == set(compose["services"]["nginx"]["environment"])


def test_nginx_accepts_the_shipped_configuration(tmp_path):
    program = require("nginx")
    make_certificate(tmp_path)
    configuration = render(tmp_path, web_port=8000, http_port=8080, https_port=8443)

    result = subprocess.run(
        [program, "-t", "-p", tmp_path, "-c", configuration], capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr
    assert "warn" not in result.stderr


def test_django_has_nothing_to_say_against_the_production_settings(tmp_path):
    environment = production_environment(
        tmp_path, database_url="postgres://portal@localhost/portal", redis_url="redis://localhost/0"
    )

    result = subprocess.run(
        ["python", "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    assert "no issues" in result.stdout


def test_the_image_holds_no_development_tool_and_runs_as_nobody_in_particular():
    dockerfile = (BASE_DIR / "Dockerfile").read_text()

    assert "requirements-dev" not in dockerfile
    assert "--require-hashes" in dockerfile
    assert re.findall(r"^USER (\S+)", dockerfile, flags=re.MULTILINE)[-1] == "portal"


def test_only_what_the_image_needs_is_sent_to_its_build():
    lines = (BASE_DIR / ".dockerignore").read_text().splitlines()

    assert "*" in lines
    assert not {"!.env", "!.git", "!tests", "!var"} & set(lines)
