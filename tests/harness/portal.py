"""The real portal as processes: embedded, as ``make run`` starts it, and in production, as ``docker-compose.yml`` does."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.harness.nginx import start_nginx
from tests.harness.processes import accepts, free_port, running

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class PortalProcess:
    """A running portal: ``url`` ends without a slash; ``accounts`` maps user names to passwords (embedded mode)."""

    url: str
    var_dir: Path
    env: Mapping[str, str]
    process: subprocess.Popen[bytes]

    @property
    def accounts(self) -> dict[str, str]:
        lines = (self.var_dir / "demo-accounts.txt").read_text().splitlines()[1:]
        return {name: password for _, name, password in (line.split("\t") for line in lines)}

    def manage(self, *arguments: str) -> str:
        """Run ``manage.py`` with the settings of this portal; gives its standard output."""
        return manage(self.env, *arguments)


def manage(env: Mapping[str, str], *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, ROOT / "manage.py", *arguments],
        env=dict(env),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"manage.py {' '.join(arguments)}:\n{result.stdout}\n{result.stderr}"
    return result.stdout


def clean_environment(**own: str) -> dict[str, str]:
    """The environment of this process without what configures a portal or a test run, and with ``own``."""
    foreign = (
        "CXR_",
        "DJANGO_",
        "PYTEST_",
        "DATABASE_URL",
        "REDIS_URL",
        "SECRET_KEY",
        "AUDIT_HMAC_KEY",
        "DEIDENTIFICATION_KEY",
        "ALLOWED_HOSTS",
    )
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | own


def answers_ok(url: str, headers: Mapping[str, str] | None = None) -> bool:
    try:
        return requests.get(url, headers=dict(headers or {}), timeout=5).ok
    except requests.RequestException:
        return False


@contextlib.contextmanager
def start_portal(var_dir: Path, env: Mapping[str, str] | None = None) -> Iterator[PortalProcess]:
    """The embedded mode, started by the command behind ``make run``, with its records in ``var_dir`` and demo patients."""
    # The styles and scripts are the same for every portal of this checkout: collected once, by whichever starts first.
    own = {"CXR_VAR_DIR": str(var_dir), "CXR_STATIC_DIR": str(ROOT / "var" / "tests-static")}
    environment = clean_environment(**own | dict(env or {}))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    var_dir.mkdir(parents=True, exist_ok=True)
    with running(
        [sys.executable, ROOT / "manage.py", "portal", "--port", str(port)],
        log=var_dir / "supervisor.log",
        ready=lambda: "CXR Portal runs at" in (var_dir / "supervisor.log").read_text(),
        env=environment,
        cwd=ROOT,
    ) as process:
        yield PortalProcess(url, var_dir, environment, process)


def compose_service(name: str) -> dict[str, Any]:
    """One service of ``docker-compose.yml``: the test runs the commands that the file names."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][name]


PRODUCTION_HOST = "localhost"


def production_environment(folder: Path, *, database_url: str, redis_url: str, **own: str) -> dict[str, str]:
    """The variables of ``docker-compose.yml``'s web service with the addresses and secrets of this run."""
    composed = {name: str(value) for name, value in compose_service("web")["environment"].items()}
    composed |= {
        "CXR_VAR_DIR": str(folder / "data"),
        "CXR_STATIC_DIR": str(folder / "collected"),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "AUDIT_HMAC_KEY": secrets.token_urlsafe(50),
        "DEIDENTIFICATION_KEY": secrets.token_urlsafe(50),
        "ALLOWED_HOSTS": PRODUCTION_HOST,
        "EMAIL_URL": f"file:///{folder / 'mail'}",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    return clean_environment(**composed | own)


@contextlib.contextmanager
def production_service(
    name: str, env: Mapping[str, str], folder: Path, *, port: int = 0
) -> Iterator[subprocess.Popen[bytes]]:
    """One of web, worker, beat and dicom-listener: the command of ``docker-compose.yml``, ready when its health check would say
    so.
    """
    log = folder / f"{name}.log"
    environment = {**env, "PORT": str(port)}
    signs = {
        "web": lambda: accepts(port),
        "worker": lambda: "ready." in log.read_text(),
        "beat": lambda: "beat: Starting" in log.read_text(),
        "dicom-listener": lambda: accepts(int(env["CXR_DICOM_PORT"])),
    }
    command = compose_service(name)["command"]
    with running(command, log=log, ready=signs[name], env=environment, cwd=ROOT) as process:
        yield process


@dataclass(frozen=True, slots=True)
class ProductionPortal:
    """nginx, web, worker, beat, PostgreSQL and Redis. ``url`` is nginx's, with TLS; trust ``certificate`` to talk to it."""

    url: str
    http_url: str
    certificate: Path
    folder: Path
    env: Mapping[str, str]

    def manage(self, *arguments: str) -> str:
        return manage(self.env, *arguments)

    def log(self, name: str) -> str:
        """What web, worker, beat or nginx has printed so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def wait_for_log(self, name: str, text: str) -> None:
        until(lambda: text in self.log(name), f"{text!r} in the log of {name}")


@contextlib.contextmanager
def start_production(
    folder: Path, *, database_url: str, redis_url: str, env: Mapping[str, str] | None = None
) -> Iterator[ProductionPortal]:
    """The processes of ``docker-compose.yml`` without its containers, behind the shipped nginx configuration."""
    environment = production_environment(
        folder, database_url=database_url, redis_url=redis_url, **(env or {})
    )
    manage(environment, "migrate", "--verbosity", "0")
    manage(environment, "register_model")
    manage(environment, "collectstatic", "--no-input", "--verbosity", "0")
    web_port = free_port()
    with contextlib.ExitStack() as stack:
        stack.enter_context(production_service("web", environment, folder, port=web_port))
        stack.enter_context(production_service("worker", environment, folder))
        stack.enter_context(production_service("beat", environment, folder))
        nginx = stack.enter_context(start_nginx(folder, web_port))
        wait_until_healthy(web_port)
        yield ProductionPortal(nginx.url, nginx.http_url, nginx.certificate, folder, environment)


def wait_until_healthy(web_port: int) -> None:
    """As the container's own health check asks: inside, without TLS."""
    url = f"http://127.0.0.1:{web_port}/healthz"
    headers = {"Host": PRODUCTION_HOST, "X-Forwarded-Proto": "https"}
    until(lambda: answers_ok(url, headers), "an answer of /healthz that all is up")


def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Return once ``condition()`` holds. Raises AssertionError that names ``what`` did not come in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come in {seconds} s"
        time.sleep(0.05)
