"""How gunicorn serves the portal, in the embedded mode and behind nginx alike. WEB_CONCURRENCY sets the processes."""

import logging
import os
from pathlib import Path

from cxr_portal.memory import keep_freed_memory


class WithoutQuery(logging.Filter):
    """Cuts the query string from gunicorn's own lines about a request: a search holds a patient's name."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
        return True


keep_freed_memory()

bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 8
# Loaded once, before the processes fork: a malformed setting stops the start instead of being tried again for ever.
preload_app = True
# The backstop for a request whose database froze: server-side timeouts cannot fire there.
timeout = 30
graceful_timeout = 25
keepalive = 5
# Heartbeat files in memory: on a slow disk gunicorn takes a healthy process for a dead one.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 (gunicorn makes private files in it)
control_socket_disable = True
accesslog = "-"
# No query string and no referrer, for the same reason.
access_log_format = "%(m)s %(U)s %(s)s %(B)s bytes %(M)s ms %({x-request-id}o)s"
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "cxr_portal.logs.JsonFormatter"}},
    "filters": {"without_query": {"()": WithoutQuery}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["without_query"]}
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        name: {"handlers": ["stderr"], "level": "INFO", "propagate": False}
        for name in ("gunicorn.error", "gunicorn.access")
    },
}
