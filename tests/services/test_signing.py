"""The password once more, where the site wants it."""

import pytest
from allauth.core import context
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import RequestFactory

from diagnosis.models import AuditEvent, Site
from diagnosis.services.signing import signature_require
from tests.factories import PASSWORD, PatientFactory, StudyFactory


@pytest.fixture(autouse=True)
def _request():
    """Wrong passwords are counted by address, and in the cache, which outlives a test."""
    cache.clear()
    with context.request_context(RequestFactory().post("/")):
        yield


@pytest.fixture
def study(site):
    Site.objects.update(signing_asks_password=True)
    site.refresh_from_db()
    return StudyFactory(patient=PatientFactory(site=site))


def test_the_own_password_signs(radiologist, study):
    signature_require(actor=radiologist, study=study, password=PASSWORD)


def test_a_site_that_does_not_ask_needs_none(radiologist, study):
    study.site.signing_asks_password = False
    signature_require(actor=radiologist, study=study, password="")


@pytest.mark.parametrize(("typed", "sentence"), [("", "Enter your password"), ("wrong", "not your password")])
def test_without_the_right_password_nothing_is_signed(radiologist, study, typed, sentence):
    with pytest.raises(ValidationError) as error:
        signature_require(actor=radiologist, study=study, password=typed)
    assert sentence in error.value.message_dict["signing_password"][0]


def test_the_password_of_somebody_else_does_not_sign(radiologist, second_radiologist, study):
    second_radiologist.set_password("another long passphrase")
    second_radiologist.save()
    with pytest.raises(ValidationError, match="not your password"):
        signature_require(actor=radiologist, study=study, password="another long passphrase")


def test_a_wrong_password_is_on_record_without_it(radiologist, study):
    with pytest.raises(ValidationError):
        signature_require(actor=radiologist, study=study, password="my secret guess")
    event = AuditEvent.objects.get(action="signature_refused")
    assert (event.actor, event.patient, event.succeeded) == (radiologist, study.patient, False)
    assert "guess" not in str(list(AuditEvent.objects.values_list("details", "actor_name")))


def test_too_many_wrong_passwords_end_the_guessing_even_with_the_right_one(radiologist, study):
    for _ in range(5):
        with pytest.raises(ValidationError, match="not your password"):
            signature_require(actor=radiologist, study=study, password="wrong")
    with pytest.raises(ValidationError, match="too many wrong passwords"):
        signature_require(actor=radiologist, study=study, password=PASSWORD)


def test_who_may_not_sign_is_not_even_asked(doctor, study):
    with pytest.raises(PermissionDenied):
        signature_require(actor=doctor, study=study, password="wrong")
    assert not AuditEvent.objects.filter(action="login_failed").exists()
