"""What goes wrong on our side is logged, and says nothing of anybody to anybody."""

import logging

import pytest
from django.core.files.storage import default_storage
from django.db import OperationalError

from diagnosis.api.views import studies


@pytest.fixture
def fails(monkeypatch):
    def make(error):
        def broken(**_):
            raise error

        monkeypatch.setattr(studies, "study_open", broken)

    return make


def test_an_unexpected_error_is_one_neutral_sentence_with_a_number_that_the_log_has(
    api, study, fails, caplog
):
    fails(RuntimeError("Example^Ana at /var/secret"))
    with caplog.at_level(logging.ERROR, "diagnosis.api"):
        response = api.get(f"/api/v1/studies/{study.pk}/")
    assert response.status_code == 500
    body = response.json()
    assert set(body) == {"detail", "code", "error_id"}
    assert "Example" not in response.content.decode()
    assert "secret" not in response.content.decode()
    assert "Traceback" not in response.content.decode()
    [record] = [record for record in caplog.records if record.name == "diagnosis.api.exceptions"]
    assert record.error_id == body["error_id"]
    assert body["error_id"] in body["detail"]


def test_a_database_that_does_not_answer_is_worth_another_try(api, study, fails):
    fails(OperationalError("could not connect to server at 10.0.0.1"))
    response = api.get(f"/api/v1/studies/{study.pk}/")
    assert response.status_code == 503
    assert "10.0.0.1" not in response.content.decode()
    assert "Try again" in response.json()["detail"]


def test_a_file_that_is_gone_from_the_storage_is_not_found_and_not_an_empty_file(api, image, caplog):
    default_storage.delete(image.file.name)
    response = api.get(f"/api/v1/images/{image.pk}/original/")
    assert response.status_code == 404
    assert "A stored file is missing." in caplog.text
