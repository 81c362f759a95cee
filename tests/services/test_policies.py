"""Who may do what, as one table."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied

from diagnosis import policies
from diagnosis.models import Patient
from diagnosis.policies import Act
from diagnosis.services.accounts import system_user
from tests.factories import PatientFactory

MAY = {
    "doctor": {
        Act.VIEW_RECORDS, Act.UPLOAD, Act.ADD_PATIENT, Act.ADD_LAB_RESULT, Act.ADD_SYMPTOM_NOTE, Act.RUN_ANALYSIS,
        Act.REQUEST_SECOND_READ, Act.ACKNOWLEDGE_CRITICAL, Act.CHANGE_PRIORITY,
    },
    "radiologist": {
        Act.VIEW_RECORDS, Act.UPLOAD, Act.ADD_PATIENT, Act.ADD_LAB_RESULT, Act.ADD_SYMPTOM_NOTE, Act.RUN_ANALYSIS,
        Act.REQUEST_SECOND_READ, Act.ACKNOWLEDGE_CRITICAL, Act.CHANGE_PRIORITY,
        Act.SIGN_REVIEW, Act.READ_SECOND, Act.RESOLVE_DISCREPANCY, Act.FLAG_CRITICAL,
    },
    "admin": {
        Act.VIEW_RECORDS, Act.RUN_ANALYSIS, Act.RESOLVE_HELD_FILE, Act.SET_CASE_RULES, Act.SET_UP_REPORTS,
        Act.CHANGE_PRIORITY, Act.ASSIGN_READER, Act.END_CLAIM,
    },
    "outsider": set(),
}  # fmt: skip


@pytest.mark.parametrize("person", MAY)
def test_a_role_allows_exactly_what_the_table_says(person, site, request):
    user = request.getfixturevalue(person)
    assert {act for act in Act if policies.may(user, act, site)} == MAY[person]


def test_the_workers_may_only_analyse(site):
    assert {act for act in Act if policies.may(system_user(), act, site)} == {
        Act.RUN_ANALYSIS,
        Act.RECORD_ANALYSIS,
        Act.ESCALATE_CRITICAL,
    }


def test_nobody_may_do_anything_before_logging_in(site):
    assert not any(policies.may(AnonymousUser(), act, site) for act in Act)


def test_a_deactivated_account_may_do_nothing(doctor, site):
    doctor.is_active = False
    assert not any(policies.may(doctor, act, site) for act in Act)


def test_a_superuser_without_a_role_may_do_nothing_clinical(doctor, other_site):
    doctor.is_superuser = True
    assert not any(policies.may(doctor, act, other_site) for act in Act)


def test_a_refusal_is_a_sentence_that_says_whom_to_ask(doctor, site):
    with pytest.raises(PermissionDenied, match="Ask an administrator of Saint Example"):
        policies.require(doctor, Act.SIGN_REVIEW, site)


def test_people_see_the_patients_of_their_own_sites_alone(doctor, outsider, site, other_site):
    here, there = PatientFactory(site=site), PatientFactory(site=other_site)
    assert list(Patient.objects.visible_to(doctor)) == [here]
    assert list(Patient.objects.visible_to(outsider)) == [there]
    assert not Patient.objects.visible_to(AnonymousUser()).exists()


def test_only_administrators_audit_and_only_their_own_sites(admin, doctor, site, other_site):
    here, there = PatientFactory(site=site), PatientFactory(site=other_site)
    assert list(Patient.objects.auditable_by(admin)) == [here]
    assert not Patient.objects.auditable_by(doctor).exists()
    admin.is_superuser = True
    assert set(Patient.objects.auditable_by(admin)) == {here, there}
