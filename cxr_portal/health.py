"""``/healthz``: 200 once the database is migrated and a worker takes tasks, 503 with what is missing before and after."""

from __future__ import annotations

import functools
import logging
import time

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

logger = logging.getLogger(__name__)

_WORKER_KEY = "worker-last-seen"
WORKER_SILENCE_SECONDS = 20
"""A worker tells every 2 seconds; one that is silent for this long is taken for gone."""


def worker_seen() -> None:
    cache.set(_WORKER_KEY, time.time(), timeout=WORKER_SILENCE_SECONDS)


def worker_left() -> None:
    cache.delete(_WORKER_KEY)


def _worker_problem() -> str | None:
    return None if cache.get(_WORKER_KEY) else "no worker has answered"


@functools.cache
def _migrated() -> bool:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise LookupError("migrations are waiting")  # An exception is not cached: the next call looks again.
    return True


def _database_problem() -> str | None:
    try:
        _migrated()
    except LookupError as error:
        return str(error)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return None


CHECKS = {"database": _database_problem, "worker": _worker_problem}


def problems() -> dict[str, str]:
    """What keeps the portal from working, by part; empty when all is up."""
    found = {}
    for part, check in CHECKS.items():
        try:
            problem = check()
        except Exception:  # Whatever the driver raises, the answer is the same: that part does not work.
            logger.exception("Health check failed: %s", part)
            problem = "does not answer"
        if problem:
            found[part] = problem
    return found


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    found = problems()
    parts = {part: found.get(part, "ok") for part in CHECKS}
    return JsonResponse({"status": "unavailable" if found else "ok", **parts}, status=503 if found else 200)
