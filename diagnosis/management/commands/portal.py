"""Run the whole portal on one machine: database, demo, web server, worker. ``make run`` calls it."""

import contextlib
import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from cxr_portal import health
from cxr_portal.static_files import collect_if_stale
from cxr_portal.supervisor import StopRequested, Supervisor, SupervisorError, listen

HOST = "127.0.0.1"


class Command(BaseCommand):
    help = "Start the web server and the Celery worker, print the address, and stop both on Ctrl-C."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="0 takes any free port.")
        parser.add_argument(
            "--demo", type=Path, help="A folder of chest X-rays to load in place of the drawn ones."
        )

    def handle(self, *args: Any, port: int, demo: Path | None, **options: Any) -> None:
        if settings.CXR_MODE != "embedded":
            raise CommandError(
                "This command is for the embedded mode alone; a hospital starts each process of its own."
            )
        try:
            with listen(HOST, port) as server, Supervisor(settings.CXR_VAR_DIR / "log") as supervisor:
                self._run(supervisor, server.getsockname()[1], server.fileno(), demo)
        except StopRequested:
            pass
        except (SupervisorError, CommandError) as error:
            sys.exit(str(error))
        # The terminal may be gone: closing it is one way to stop.
        with contextlib.suppress(OSError):
            self.stdout.write("Stopped.")

    def _run(self, supervisor: Supervisor, port: int, server_fd: int, demo: Path | None) -> None:
        address = f"http://{HOST}:{port}/"
        os.environ.setdefault("CXR_PUBLIC_URL", address)  # For the mails that the worker sends.
        self.stdout.write("Preparing the database and the demo ...")
        call_command("migrate", verbosity=0)
        self._register_model()
        call_command("demo_accounts", stdout=self.stdout)
        call_command("demo_data", images=demo, stdout=self.stdout, stderr=self.stderr)
        collect_if_stale()
        health.worker_left()  # What a worker of the run before said no longer holds.
        python = [sys.executable, "-m"]
        gunicorn = ["gunicorn", "--config", str(settings.BASE_DIR / "deploy" / "gunicorn.conf.py")]
        gunicorn += ["--bind", f"fd://{server_fd}", "--workers", "1", "cxr_portal.wsgi"]
        celery = ["celery", "--app", "cxr_portal", "--workdir", str(settings.BASE_DIR)]
        celery += ["worker", "--loglevel", "INFO", "--concurrency", "1", "--beat"]
        supervisor.start("web", [*python, *gunicorn], pass_fds=(server_fd,))
        supervisor.start("worker", [*python, *celery])
        if settings.CXR_DICOM_PORT:
            supervisor.start(
                "dicom-listener", [sys.executable, str(settings.BASE_DIR / "manage.py"), "dicom_listener"]
            )
            supervisor.wait_until_listening(settings.CXR_DICOM_HOST, settings.CXR_DICOM_PORT)
        supervisor.wait_until_up(f"{address}healthz")
        self.stdout.write(f"CXR Portal runs at {address}")
        self.stdout.write(
            f"Accounts and passwords: {settings.CXR_VAR_DIR / 'demo-accounts.txt'}. Stop it with Ctrl-C."
        )
        self.stdout.flush()
        supervisor.watch()

    def _register_model(self) -> None:
        try:
            call_command("register_model", stdout=self.stdout)
        except CommandError as error:
            # A study can be read without a second opinion, so the portal starts; who starts it must know.
            self.stderr.write(self.style.WARNING(f"There will be no second opinion: {error}"))
