"""The shipped nginx configuration, run by the machine's own nginx."""

from __future__ import annotations

import contextlib
import getpass
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.harness.binaries import require
from tests.harness.processes import accepts, free_port, running

ROOT = Path(__file__).resolve().parents[2]

# What nginx's image brings around the template, in a folder of our own.
AROUND = """\
daemon off;
{user}
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/portal.conf;
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    url: str
    http_url: str
    certificate: Path


def render(folder: Path, *, web_port: int, http_port: int, https_port: int) -> Path:
    """Fill in the template as nginx's image does, and give the path of the whole configuration."""
    text = (ROOT / "deploy" / "nginx.conf.template").read_text()
    values = {
        "CXR_WEB": f"127.0.0.1:{web_port}",
        "CXR_HTTP_PORT": f"127.0.0.1:{http_port}",
        "CXR_HTTPS_PORT": f"127.0.0.1:{https_port}",
        "CXR_TLS_DIR": str(folder),
    }
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    (folder / "portal.conf").write_text(text)
    # Workers of a root nginx run as nobody, who may not enter a test's folder.
    user = "user root;" if getpass.getuser() == "root" else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(AROUND.format(folder=folder, user=user))
    return configuration


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate for localhost; a client that trusts this file checks it for real."""
    certificate = folder / "fullchain.pem"
    subprocess.run(
        [
            *(
                require("openssl"),
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
            ),
            *(
                "-addext",
                "subjectAltName=DNS:localhost",
                "-keyout",
                folder / "privkey.pem",
                "-out",
                certificate,
            ),
        ],
        check=True,
        capture_output=True,
    )
    return certificate


@contextlib.contextmanager
def start_nginx(parent: Path, web_port: int) -> Iterator[Nginx]:
    program = require("nginx")
    folder = parent / "nginx"
    folder.mkdir()
    certificate = make_certificate(folder)
    http_port, https_port = free_port(), free_port()
    configuration = render(folder, web_port=web_port, http_port=http_port, https_port=https_port)
    with running(
        [program, "-p", folder, "-c", configuration],
        log=parent / "nginx.log",
        ready=lambda: accepts(https_port),
        cwd=folder,
    ):
        yield Nginx(f"https://localhost:{https_port}", f"http://localhost:{http_port}", certificate)
