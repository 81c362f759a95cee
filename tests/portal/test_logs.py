"""The log: one JSON object a line, and nothing of a patient in it."""

import io
import json
import logging

import pytest

from cxr_portal.logs import JsonFormatter
from diagnosis.request_context import RequestContextMiddleware


@pytest.fixture
def log():
    """A logger and what it wrote, line by line."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.Logger("test")  # noqa: LOG001 (apart from the root, and gone after the test)
    logger.addHandler(handler)
    return logger, lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_where_and_what(log):
    logger, lines = log

    logger.warning("Refused %d files", 3, extra={"study": 17})

    (line,) = lines()
    assert line["level"] == "WARNING"
    assert line["message"] == "Refused 3 files"
    assert line["study"] == 17
    assert line["time"].endswith("+00:00")


def test_an_exception_gives_its_type_and_its_place_but_not_its_text(log):
    logger, lines = log

    try:
        raise ValueError("no such patient: Muster^Martina")
    except ValueError:
        logger.exception("Could not store the file")

    (line,) = lines()
    assert line["exception"] == "ValueError"
    assert "test_logs.py" in line["frames"][-1]
    assert "Muster" not in json.dumps(line)


def test_a_failed_task_is_logged_without_the_text_of_its_exception(log):
    logger, lines = log
    context = {
        "id": "1",
        "name": "analyse",
        "exc": "ValueError('Muster^Martina')",
        "args": "['Muster']",
        "description": "raised",
    }

    logger.error("Task %(name)s[%(id)s] %(description)s: %(exc)s", context)

    assert lines()[0]["message"] == "Task analyse[1] raised: -"


@pytest.mark.parametrize("breaker", ["\r\n", "\x1b[31m", '"}', " ", "\x00"])
def test_whatever_a_name_holds_it_stays_one_line_of_json(log, breaker):
    logger, lines = log

    logger.info("Name: %s", f"a{breaker}b")

    assert [line["message"] for line in lines()] == [f"Name: a{breaker}b"]


def test_lines_of_one_request_share_its_id(log, rf):
    logger, lines = log

    def view(request):
        logger.info("First")
        logger.info("Second")
        return {}

    response = RequestContextMiddleware(view)(rf.get("/"))

    first, second = lines()
    assert first["request_id"] == second["request_id"] == response["X-Request-ID"]
