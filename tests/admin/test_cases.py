"""An administrator sets a hospital's rules of cases; what happened is looked at and changed by nobody."""

import pytest
from django.urls import reverse

from diagnosis.models import AuditEvent, CaseRules, CriticalFinding, EscalationContact
from tests.case_records import case_records
from tests.factories import PatientFactory

RULES = {
    "pcr_days_before": 5, "pcr_days_after": 2, "xray_expected_from_day": 4, "ai_covid_from": "0.70",
    "second_read_share_percent": 10, "second_read_most_open": 8, "second_read_most_a_day": 12, "critical_minutes": 20,
}  # fmt: skip


def add(model: str) -> str:
    return reverse(f"admin:diagnosis_{model}_add")


def test_an_administrator_sets_the_rules_of_the_own_hospital_and_it_is_on_record(visit, admin, site):
    assert visit(admin).post(add("caserules"), {"site": site.pk, **RULES}).status_code == 302
    rules = CaseRules.of(site.pk)
    assert (rules.second_read_share_percent, str(rules.ai_covid_from)) == (10, "0.70")
    event = AuditEvent.objects.get(action="case_rules_changed")
    assert (event.actor, event.site, event.details["values"]["critical_minutes"]) == (admin, site, "20")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("second_read_share_percent", 101),
        ("second_read_most_open", 0),
        ("critical_minutes", 0),
        ("ai_covid_from", "1.2"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(visit, admin, site, name, value):
    page = visit(admin).post(add("caserules"), {"site": site.pk, **RULES, name: value})
    assert page.status_code == 200
    assert not CaseRules.objects.exists()


def test_nobody_sets_the_rules_of_another_hospital(visit, admin, radiologist, site, other_site):
    page = visit(admin).post(add("caserules"), {"site": other_site.pk, **RULES})
    assert page.status_code == 200
    assert visit(radiologist).post(add("caserules"), {"site": site.pk, **RULES}).status_code in (302, 403)
    assert not CaseRules.objects.exists()


def test_a_list_of_critical_findings_is_written_and_a_line_taken_away(visit, admin, site):
    browser = visit(admin)
    sent = {"site": site.pk, "display": "Our own", "code": "own", "position": 1, "is_active": "on"}
    assert browser.post(add("criticalfinding"), sent).status_code == 302
    finding = CriticalFinding.objects.get()
    gone = reverse("admin:diagnosis_criticalfinding_delete", args=[finding.pk])
    assert browser.post(gone, {"post": "yes"}).status_code == 302
    assert not CriticalFinding.objects.exists()
    assert AuditEvent.objects.filter(action="case_rules_changed").count() == 2


def test_only_who_may_acknowledge_and_can_be_reached_stands_in_the_list(visit, admin, doctor, outsider, site):
    browser = visit(admin)
    page = browser.post(add("escalationcontact"), {"site": site.pk, "position": 1, "user": doctor.pk})
    assert "no mail address" in page.content.decode()
    for person in (doctor, outsider, admin):
        person.email = f"{person.username}@hospital.example"
        person.save()
    for person in (outsider, admin):
        sent = {"site": site.pk, "position": 1, "user": person.pk}
        assert browser.post(add("escalationcontact"), sent).status_code == 200
    assert not EscalationContact.objects.exists()
    sent = {"site": site.pk, "position": 1, "user": doctor.pk}
    assert browser.post(add("escalationcontact"), sent).status_code == 302
    assert EscalationContact.objects.get().user == doctor


@pytest.mark.parametrize("model", ["secondread", "discrepancy", "criticalresult"])
def test_a_case_is_looked_at_on_record_and_not_changed(visit, admin, doctor, radiologist, site, model):
    records = case_records(PatientFactory(site=site), doctor=doctor, radiologist=radiologist)
    row = {
        "secondread": records.wished, "discrepancy": records.discrepancy, "criticalresult": records.critical,
    }[model]  # fmt: skip
    browser = visit(admin)
    assert browser.get(reverse(f"admin:diagnosis_{model}_changelist")).status_code == 200
    page = reverse(f"admin:diagnosis_{model}_change", args=[row.pk])
    assert browser.get(page).status_code == 200
    assert AuditEvent.objects.filter(object_id=str(row.pk)).exists()
    assert browser.post(page, {"state": "x"}).status_code == 403
