"""One JSON object a line, without patient data.

The text of an exception is left out on purpose: libraries put the values they stumbled over in it (a record number, a name, a
path). Its type and the frames it passed through are enough to find the place.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from diagnosis.request_context import current

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
# Django and Celery hang whole objects on their records; their text is not ours to vouch for.
_LEFT_OUT = frozenset({"request", "data", "args", "kwargs", "response"})


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._message(record),
        }
        if request_id := current().request_id:
            line["request_id"] = request_id
        extras = record.__dict__.keys() - _STANDARD - _LEFT_OUT
        line |= {key: record.__dict__[key] for key in sorted(extras)}
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
            line["frames"] = self._frames(record.exc_info[2])
        return json.dumps(line, default=str)

    @staticmethod
    def _message(record: logging.LogRecord) -> str:
        # Celery formats "%(exc)s", the exception with its text, into the message of a task that failed.
        if isinstance(record.args, dict) and "exc" in record.args:
            hidden = dict.fromkeys(("exc", "traceback", "args", "kwargs", "return_value"), "-")
            return str(record.msg) % {**record.args, **hidden}
        return record.getMessage()

    @staticmethod
    def _frames(tb: TracebackType | None) -> list[str]:
        return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(tb)]
