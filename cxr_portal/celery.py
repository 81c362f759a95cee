"""The Celery application. ``settings.CELERY`` holds its configuration."""

from __future__ import annotations

import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import heartbeat_sent, setup_logging, worker_init, worker_shutdown

from cxr_portal import broker as _broker  # noqa: F401 (makes folder:// known)
from cxr_portal.memory import keep_freed_memory

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cxr_portal.settings")


def _configuration() -> dict[str, Any]:
    from django.conf import settings

    return settings.CELERY


app = Celery("cxr_portal")
app.add_defaults(_configuration)
app.autodiscover_tasks()


@setup_logging.connect
def _log_as_the_web_process_does(**_: Any) -> None:
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)


@worker_init.connect
def _keep_freed_memory(**_: Any) -> None:
    keep_freed_memory()  # Before its children are forked.


@heartbeat_sent.connect
def _tell_that_a_worker_listens(**_: Any) -> None:
    # On Redis it is the loop that takes messages that tells, so one that hangs falls silent. On the folder broker Celery has
    # no such loop, and it is a thread of the same process.
    from cxr_portal.health import worker_seen

    worker_seen()


@worker_shutdown.connect
def _tell_that_the_worker_left(**_: Any) -> None:
    from cxr_portal.health import worker_left

    worker_left()
