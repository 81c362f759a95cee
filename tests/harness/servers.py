"""PostgreSQL and Redis of this test run: own folder, free port, gone at the end."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2

from tests.harness.binaries import require
from tests.harness.processes import accepts, free_port, running


@contextlib.contextmanager
def _own_folder(name: str, owner: str | None = None) -> Iterator[Path]:
    # Not below pytest's folder: that one only its owner may enter, and PostgreSQL runs as another user where we are root.
    folder = Path(tempfile.mkdtemp(prefix=f"cxr-{name}-"))
    if owner:
        shutil.chown(folder, owner)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL cluster; gives the address of its first database, ``postgres://...``."""
    initdb, postgres = require("initdb"), require("postgres")
    # PostgreSQL refuses to run as root.
    user = _unprivileged_user() if os.geteuid() == 0 else None
    prefix = (
        ["setpriv", f"--reuid={user}", "--regid", str(pwd.getpwnam(user).pw_gid), "--clear-groups"]
        if user
        else []
    )
    with _own_folder("postgres", user) as folder:
        data = folder / "data"
        subprocess.run(
            [
                *prefix,
                initdb,
                "--pgdata",
                data,
                "--username",
                "portal",
                "--auth",
                "trust",
                "--encoding",
                "UTF8",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        port = free_port()
        address = f"postgres://portal@127.0.0.1:{port}/postgres"
        command = [
            *prefix,
            postgres,
            "-D",
            data,
            "-p",
            str(port),
            "-k",
            folder,
            "-c",
            "listen_addresses=127.0.0.1",
        ]
        log = folder.with_suffix(".log")
        try:
            # SIGINT: a fast shutdown, which does not wait for connections to end.
            with running(
                command, log=log, ready=lambda: _answers(address), cwd=folder, stop_signal=signal.SIGINT
            ):
                yield address
        finally:
            log.unlink(missing_ok=True)


def _answers(address: str) -> bool:
    with contextlib.suppress(psycopg2.OperationalError), contextlib.closing(psycopg2.connect(address)):
        return True
    return False


@contextlib.contextmanager
def postgres_database(server: str, name: str) -> Iterator[str]:
    """An empty database of ``server``; gives its address."""
    with contextlib.closing(psycopg2.connect(server)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f'CREATE DATABASE "{name}"')
        try:
            yield server.rpartition("/")[0] + f"/{name}"
        finally:
            connection.cursor().execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """A Redis; gives its address, ``redis://...``."""
    program = require("redis-server")
    with _own_folder("redis") as folder:
        port = free_port()
        command = [
            program,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            folder,
            "--save",
            "",
            "--appendonly",
            "yes",
        ]
        command += ["--maxmemory-policy", "noeviction"]
        with running(command, log=folder / "redis.log", ready=lambda: _pongs(port), cwd=folder):
            yield f"redis://127.0.0.1:{port}/0"


def _pongs(port: int) -> bool:
    if not accepts(port):
        return False
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
