"""Tokens for programs whose account has no password."""

import io

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from diagnosis.models import AuditEvent


def issued_for(username):
    out = io.StringIO()
    call_command("service_token", username, stdout=out, stderr=io.StringIO())
    return out.getvalue().strip()


def test_a_service_account_gets_a_token_that_works_and_is_on_record(doctor):
    doctor.set_unusable_password()
    doctor.save()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {issued_for('doctor')}")
    assert client.get("/dicom-web/studies").status_code == 200
    assert AuditEvent.objects.filter(action="token_created", actor=doctor).exists()


def test_whoever_has_a_password_asks_with_it(doctor):
    with pytest.raises(CommandError, match="password"):
        issued_for("doctor")


def test_a_closed_account_gets_none(doctor):
    doctor.set_unusable_password()
    doctor.is_active = False
    doctor.save()
    with pytest.raises(CommandError, match="no open account"):
        issued_for("doctor")
