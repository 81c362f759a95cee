"""Processes that live and die together."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cxr_portal.supervisor import StopRequested, Supervisor, SupervisorError, listen
from tests.harness.portal import until

SLEEPS = [sys.executable, "-c", "import signal; signal.pause()"]


@pytest.fixture(autouse=True)
def _signals_are_put_back():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def healthy():
    """An address that answers as its ``status`` says."""

    class Handler(BaseHTTPRequestHandler):
        status = 200

        def do_GET(self):
            self.send_response(self.status)
            self.end_headers()
            self.wfile.write(b'{"worker": "no worker has answered"}')

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.handler = Handler
    server.url = f"http://127.0.0.1:{server.server_port}/"
    yield server
    server.shutdown()
    server.server_close()


def _alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_port_in_use_is_said_in_one_sentence_with_a_way_out():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SupervisorError) as error:
            listen("127.0.0.1", port)

    assert str(error.value) == (
        f"Port {port} cannot be used: another program uses it; stop that one, or choose another: make run PORT=8123"
    )


def test_a_port_that_cannot_exist_is_said_too():
    with pytest.raises(
        SupervisorError, match="Port 99999 cannot be used: a port is a number from 1 to 65535"
    ):
        listen("127.0.0.1", 99999)


def test_leaving_stops_every_child_and_what_the_child_started(tmp_path):
    grandchild = tmp_path / "pid"
    script = (
        "import subprocess, sys, signal, pathlib;"
        f"child = subprocess.Popen({SLEEPS!r});"
        f"pathlib.Path({str(grandchild)!r}).write_text(str(child.pid)); signal.pause()"
    )
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("worker", [sys.executable, "-c", script])
        until(lambda: grandchild.exists() and grandchild.read_text() != "", "the grandchild")
        assert _alive(int(grandchild.read_text()))

    until(lambda: not _alive(int(grandchild.read_text())), "the end of the grandchild", seconds=5)


def test_a_child_that_ignores_the_request_to_stop_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("cxr_portal.supervisor.STOP_SECONDS", 0.2)
    ready = tmp_path / "ready"
    script = (
        "import signal, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(ready)!r}).touch(); signal.pause()"
    )
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("stubborn", [sys.executable, "-c", script])
        until(ready.exists, "the child")
        (child,) = supervisor._children

    assert child.process.returncode == -signal.SIGKILL


def test_a_child_that_dies_is_named_and_the_others_are_stopped(tmp_path):
    dying = [sys.executable, "-c", "print('why it died', flush=True); raise SystemExit(3)"]
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("web", SLEEPS)
        supervisor.start("worker", dying)
        with pytest.raises(SupervisorError) as error:
            supervisor.watch()

    assert str(error.value) == (
        f"The worker process ended (exit code 3). See the end of {tmp_path / 'worker.log'}."
    )
    assert all(child.process.returncode is not None for child in supervisor._children)
    assert "why it died" in (tmp_path / "worker.log").read_text()


def test_the_log_of_the_run_before_is_kept(tmp_path):
    for word in ("first", "second"):
        with Supervisor(tmp_path) as supervisor:
            supervisor.start("web", [sys.executable, "-c", f"print('{word}')"])
            supervisor._children[0].process.wait()

    assert (tmp_path / "web.previous.log").read_text() == "first\n"
    assert (tmp_path / "web.log").read_text() == "second\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_and_its_relatives_end_the_watch_quietly(tmp_path, number):
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("web", SLEEPS)
        os.kill(os.getpid(), number)
        supervisor.watch()


def test_ctrl_c_while_preparing_interrupts_the_preparation(tmp_path):
    with Supervisor(tmp_path), pytest.raises(StopRequested):
        os.kill(os.getpid(), signal.SIGINT)


def test_it_is_up_when_the_address_answers_200(tmp_path, healthy):
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("web", SLEEPS)
        supervisor.wait_until_up(healthy.url)


def test_what_is_missing_is_said_when_it_does_not_come_up(tmp_path, healthy, monkeypatch):
    monkeypatch.setattr("cxr_portal.supervisor.START_SECONDS", 0.3)
    healthy.handler.status = 503

    with Supervisor(tmp_path) as supervisor, pytest.raises(SupervisorError, match="no worker has answered"):
        supervisor.wait_until_up(healthy.url)


def test_ctrl_c_while_starting_stops_the_start(tmp_path, healthy):
    healthy.handler.status = 503

    with Supervisor(tmp_path) as supervisor:
        supervisor.start("web", SLEEPS)
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(StopRequested):
            supervisor.wait_until_up(healthy.url)


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")
def test_children_end_when_the_supervisor_is_killed_outright(tmp_path):
    script = f"""
from pathlib import Path
from cxr_portal.supervisor import Supervisor
with Supervisor(Path({str(tmp_path)!r})) as supervisor:
    supervisor.start("web", {SLEEPS!r})
    print(supervisor._children[0].process.pid, flush=True)
    supervisor.watch()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline())
        assert _alive(child)
        process.kill()

    until(lambda: not _alive(child), "the end of the child", seconds=5)
