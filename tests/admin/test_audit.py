"""The audit events: found by patient, user, action, object, request and date."""

import datetime as dt
import re

import pytest
from django.utils import timezone

from diagnosis.models import AuditEvent
from diagnosis.services.audit import audit_record
from tests.admin.conftest import list_of, page_of
from tests.factories import PatientFactory


@pytest.fixture
def events(site, doctor, radiologist, monkeypatch):
    """Three events of two people about two patients on three days."""
    helen = PatientFactory(site=site, person_name="Here^Helen", mrn="H-1")
    omar = PatientFactory(site=site, person_name="Other^Omar", mrn="O-2")
    made = {}
    for name, day, actor, action, patient in [
        ("first", 1, doctor, "patient_viewed", helen),
        ("second", 2, radiologist, "study_viewed", omar),
        ("third", 3, doctor, "image_downloaded", helen),
    ]:
        moment = dt.datetime(2026, 3, day, 23, 30, tzinfo=dt.UTC)
        monkeypatch.setattr(timezone, "now", lambda moment=moment: moment)
        made[name] = audit_record(actor=actor, action=action, site=site, patient=patient, target=patient)
    monkeypatch.undo()
    return made


def found(browser, events, **query):
    page = browser.get(list_of("auditevent"), query)
    assert page.status_code == 200
    shown = set(page.context["cl"].queryset.values_list("pk", flat=True))
    return [name for name, event in events.items() if event.pk in shown]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("Helen", ["first", "third"]),
        ("H-1", ["first", "third"]),
        ("Omar", ["second"]),
        ("radiologist", ["second"]),
        ("Doctor", ["first", "third"]),
        ("nobody at all", []),
        ("' OR 1=1 --", []),
    ],
)
def test_events_are_found_by_patient_and_by_user(visit, admin, events, query, names):
    assert found(visit(admin), events, q=query) == names


def test_events_are_found_by_the_id_of_an_object_and_of_a_request(visit, admin, client, doctor, site, events):
    assert found(visit(admin), events, q=str(events["second"].patient_id)) == ["second"]
    client.force_login(doctor)
    request_id = client.get(f"/api/v1/patients/{events['first'].patient_id}/")["X-Request-ID"]
    page = visit(admin).get(list_of("auditevent"), {"q": request_id})
    assert [event.action for event in page.context["cl"].queryset] == ["patient_viewed"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"action__exact": "study_viewed"}, ["second"]),
        ({"occurred_at_from": "2026-03-02"}, ["second", "third"]),
        ({"occurred_at_to": "2026-03-02"}, ["first", "second"]),
        ({"occurred_at_from": "2026-03-02", "occurred_at_to": "2026-03-02"}, ["second"]),
        ({"occurred_at_from": "2026-03-02", "q": "Helen"}, ["third"]),
        ({"occurred_at__year": "2026", "occurred_at__month": "3", "occurred_at__day": "1"}, ["first"]),
        ({"succeeded__exact": "0"}, []),
    ],
)
def test_events_are_found_by_action_and_by_day(visit, admin, events, query, names):
    assert found(visit(admin), events, **query) == names


def test_a_day_that_is_none_says_so_and_hides_nothing_silently(visit, admin, events):
    response = visit(admin).get(list_of("auditevent"), {"occurred_at_from": "yesterday"})
    assert response.status_code == 302
    assert response.url.endswith("?e=1")


def test_the_form_of_the_days_keeps_what_else_is_asked_for_as_text(visit, admin, events):
    page = visit(admin).get(
        list_of("auditevent"), {"q": '"><script>alert(1)</script>', "occurred_at_to": "2026-03-02"}
    )
    content = page.content.decode()
    assert "<script>alert(1)" not in content
    assert 'type="date" name="occurred_at_to" value="2026-03-02"' in content
    assert '<input type="hidden" name="q" value="&quot;&gt;&lt;script&gt;' in content


def test_a_row_tells_when_who_as_what_did_what_to_whom_and_from_where(visit, admin, events, site):
    row = visit(admin).get(list_of("auditevent"), {"q": "Omar"}).content.decode()
    for shown in ("radiologist", "Opened a study", "Other, Omar (O-2)", "Succeeded", "Saint Example"):
        assert shown in row


def test_a_failed_act_stands_out(visit, admin, site, doctor):
    event = audit_record(
        actor=doctor, action="access_denied", site=site, details={"act": "sign a read"}, succeeded=False
    )
    browser = visit(admin)
    found = browser.get(list_of("auditevent"), {"succeeded__exact": "0"}).context["cl"].queryset
    assert [shown.pk for shown in found] == [event.pk]
    page = browser.get(page_of("auditevent", event)).content.decode()
    assert "Failed" in page
    assert "sign a read" in page
    assert event.hash in page


def test_events_that_belong_to_no_site_are_for_superusers(visit, admin, superuser):
    event = audit_record(actor=None, action="login_failed", actor_name="unknown account", succeeded=False)
    for person, count in ((admin, 0), (superuser, 1)):
        shown = (
            visit(person).get(list_of("auditevent"), {"action__exact": "login_failed"}).context["cl"].queryset
        )
        assert shown.filter(pk=event.pk).count() == count


def test_who_searched_the_audit_is_in_the_audit(visit, admin, events):
    found(visit(admin), events, q="Helen")
    event = AuditEvent.objects.get(action="records_searched")
    assert (event.actor, event.details) == (admin, {"records": "auditevent", "query": "Helen"})


def test_the_page_of_a_patient_leads_to_who_opened_it(visit, admin, events):
    browser = visit(admin)
    patient = events["second"].patient
    page = browser.get(page_of("patient", patient)).content.decode()
    [address] = re.findall(r'href="([^"]+patient__id__exact[^"]+)"', page)
    shown = browser.get(address).context["cl"].queryset
    assert {event.patient for event in shown} == {patient}
    assert events["second"] in shown
    assert browser.get(list_of("auditevent")).context["cl"].queryset.count() > shown.count()
