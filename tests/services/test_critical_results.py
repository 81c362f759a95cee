"""A critical result is told to one person after another until somebody acknowledges it; time is a fake clock."""

import datetime as dt

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from diagnosis.errors import Conflict, NotPossible
from diagnosis.models import (
    AuditEvent,
    CaseRules,
    CriticalCommunication,
    CriticalEscalation,
    CriticalFinding,
    CriticalResult,
    EscalationContact,
    OutboxMessage,
)
from diagnosis.selectors.critical_results import critical_findings
from diagnosis.services.accounts import system_user
from diagnosis.services.critical_results import (
    critical_acknowledge,
    critical_cancel,
    critical_flag,
    critical_mail_send,
    critical_mails_resend,
    critical_results_escalate,
    critical_tell,
)
from tests.factories import PatientFactory, StudyFactory

START = dt.datetime(2026, 7, 1, 8, tzinfo=dt.UTC)


class Clock:
    """What the portal takes for now; it moves when a test says so."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> dt.datetime:
        return self.now

    def minutes(self, count: float) -> None:
        self.now += dt.timedelta(minutes=count)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock)
    return clock


@pytest.fixture
def study(site, doctor, clock):
    doctor.email = "doctor@hospital.example"
    doctor.save()
    return StudyFactory(
        patient=PatientFactory(site=site, person_name="Secret^Name", mrn="SECRET-1"),
        submitted_by=doctor,
        status="to_read",
    )


@pytest.fixture
def head(second_radiologist, site):
    """The one person of the site's own list."""
    second_radiologist.email = "head@hospital.example"
    second_radiologist.save()
    EscalationContact.objects.create(site=site, position=1, user=second_radiologist)
    return second_radiologist


def flag(radiologist, study, **values) -> CriticalResult:
    return critical_flag(actor=radiologist, study=study, **{"finding": "tension_pneumothorax", **values})


def escalate() -> int:
    return critical_results_escalate(actor=system_user())


def send_all() -> None:
    for key in CriticalEscalation.objects.values_list("pk", flat=True):
        critical_mail_send(escalation_id=key)


def told(result) -> list[str]:
    return [escalation.contact.username for escalation in result.escalations.all()]


def test_who_asked_for_the_x_ray_is_told_at_once_by_a_mail_without_patient_data(radiologist, doctor, study):
    result = flag(radiologist, study, note="Left side.")
    assert told(result) == ["doctor"]
    message = OutboxMessage.objects.get()
    assert (message.task, set(message.kwargs)) == ("diagnosis.tasks.send_critical_mail", {"escalation_id"})
    send_all()
    (sent,) = mail.outbox
    assert sent.to == ["doctor@hospital.example"]
    assert result.reference in sent.subject
    assert f"/critical/{result.pk}/" in sent.body
    whole = sent.subject + sent.body
    for secret in ("Secret", "SECRET-1", "pneumothorax", "Left side", study.study_instance_uid):
        assert secret.lower() not in whole.lower()


def test_it_goes_to_the_next_person_after_the_sites_minutes_and_round_again_until_acknowledged(
    radiologist, doctor, study, head, site, clock
):
    CaseRules.objects.create(site=site, critical_minutes=10)
    result = flag(radiologist, study)
    clock.minutes(9.9)
    assert escalate() == 0
    clock.minutes(0.2)
    assert escalate() == 1
    assert told(result) == ["doctor", "second_radiologist"]
    clock.minutes(10)
    assert escalate() == 1
    assert told(result) == ["doctor", "second_radiologist", "doctor"]
    critical_acknowledge(actor=head, critical_result=result)
    clock.minutes(1000)
    assert escalate() == 0
    result.refresh_from_db()
    assert (result.state, result.acknowledged_by, result.acknowledged_how) == ("acknowledged", head, "portal")


def test_a_task_that_runs_twice_takes_no_step_twice(radiologist, study, head, clock):
    result = flag(radiologist, study)
    clock.minutes(15)
    assert (escalate(), escalate(), escalate()) == (1, 0, 0)
    assert result.escalations.count() == 2
    with pytest.raises(IntegrityError), transaction.atomic():
        CriticalEscalation.objects.create(
            critical_result=result, step=1, contact=head, escalated_at=timezone.now()
        )


def test_a_worker_that_was_down_for_hours_goes_on_with_one_person_at_a_time(radiologist, study, head, clock):
    result = flag(radiologist, study)
    clock.minutes(600)
    assert escalate() == 1
    assert escalate() == 0
    assert told(result) == ["doctor", "second_radiologist"]


def test_who_has_no_address_is_passed_over_at_once_and_the_page_can_say_so(radiologist, doctor, study, head):
    doctor.email = ""
    doctor.save()
    result = flag(radiologist, study)
    assert told(result) == ["doctor", "second_radiologist"]
    assert "no mail address" in result.escalations.first().problem
    send_all()
    assert [sent.to for sent in mail.outbox] == [["head@hospital.example"]]


def test_a_list_of_people_without_addresses_is_gone_through_once_for_each_period(
    radiologist, doctor, study, clock
):
    doctor.email = ""
    doctor.save()
    result = flag(radiologist, study)
    assert told(result) == ["doctor"]
    assert escalate() == 0
    clock.minutes(15)
    assert escalate() == 1


def test_a_mail_goes_out_once_however_often_its_task_runs(radiologist, study):
    flag(radiologist, study)
    send_all()
    send_all()
    assert len(mail.outbox) == 1


def test_a_mail_that_the_server_refused_is_sent_again_and_the_page_says_so(
    radiologist, study, monkeypatch, clock
):
    result = flag(radiologist, study)

    def refuse(*_args: object, **_kwargs: object) -> int:
        raise ConnectionRefusedError

    with monkeypatch.context() as broken:
        broken.setattr(mail.EmailMessage, "send", refuse)
        send_all()
    escalation = result.escalations.get()
    assert "could not be sent" in escalation.problem
    assert escalation.sent_at is None
    assert critical_mails_resend() == 1
    escalation.refresh_from_db()
    assert (escalation.sent_at, escalation.problem) == (clock.now, "")
    assert len(mail.outbox) == 1


def test_no_mail_goes_out_about_what_was_acknowledged_meanwhile(radiologist, doctor, study):
    result = flag(radiologist, study)
    critical_acknowledge(actor=doctor, critical_result=result)
    send_all()
    assert critical_mails_resend() == 0
    assert mail.outbox == []


def test_what_was_read_back_is_acknowledged_and_all_six_facts_are_kept(radiologist, study, clock):
    result = flag(radiologist, study, found_at=START - dt.timedelta(minutes=5))
    clock.minutes(2)
    critical_tell(
        actor=radiologist,
        critical_result=result,
        told_to="Dr Day, emergency room",
        method="phone",
        read_back=True,
        told_at=clock.now,
    )
    result.refresh_from_db()
    assert (result.state, result.acknowledged_how) == ("acknowledged", "read_back")
    told_row = CriticalCommunication.objects.get()
    assert (result.finding_display, result.found_at) == (
        "Tension pneumothorax",
        START - dt.timedelta(minutes=5),
    )
    assert (told_row.told_by, told_row.told_to, told_row.told_at, told_row.method, told_row.read_back) == (
        radiologist, "Dr Day, emergency room", clock.now, "phone", True,
    )  # fmt: skip


def test_a_message_without_read_back_does_not_stop_the_escalation(radiologist, study, head, clock):
    result = flag(radiologist, study)
    critical_tell(
        actor=radiologist, critical_result=result, told_to="Ward", method="message", read_back=False
    )
    clock.minutes(15)
    assert escalate() == 1


def test_who_found_it_cannot_acknowledge_it(radiologist, study):
    result = flag(radiologist, study)
    with pytest.raises(NotPossible, match="somebody who treats the patient"):
        critical_acknowledge(actor=radiologist, critical_result=result)


def test_a_second_acknowledgement_is_a_conflict(radiologist, doctor, head, study):
    result = flag(radiologist, study)
    critical_acknowledge(actor=doctor, critical_result=result)
    with pytest.raises(Conflict, match="now “Acknowledged”"):
        critical_acknowledge(actor=head, critical_result=result)
    result.refresh_from_db()
    assert result.acknowledged_by == doctor


def test_a_wrong_entry_is_cancelled_with_its_reason_and_kept_with_who_had_acknowledged_it(
    radiologist, doctor, study, clock
):
    result = flag(radiologist, study)
    critical_acknowledge(actor=doctor, critical_result=result)
    with pytest.raises(ValidationError):
        critical_cancel(actor=radiologist, critical_result=result, reason="  ")
    critical_cancel(actor=radiologist, critical_result=result, reason="Wrong patient on screen.")
    result.refresh_from_db()
    assert (result.state, result.cancelled_by, result.acknowledged_by) == ("cancelled", radiologist, doctor)
    clock.minutes(60)
    assert escalate() == 0
    assert flag(radiologist, study).is_open  # The same finding can be flagged again.


def test_the_same_finding_is_not_flagged_twice_while_it_is_open(radiologist, study):
    flag(radiologist, study)
    with pytest.raises(Conflict, match="flagged for this study already"):
        flag(radiologist, study)
    assert flag(radiologist, study, finding="misplaced_tube").is_open


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"finding": "broken_heart"}, "finding"),
        ({"found_at": START + dt.timedelta(minutes=1)}, "found_at"),
        ({"note": "x" * 2001}, "note"),
    ],
)
def test_a_flag_that_is_not_right_is_not_stored(radiologist, study, values, field):
    with pytest.raises(ValidationError) as error:
        flag(radiologist, study, **values)
    assert field in error.value.message_dict
    assert not CriticalResult.objects.exists()


def test_nobody_was_told_before_it_was_found(radiologist, study):
    result = flag(radiologist, study)
    with pytest.raises(ValidationError, match="before it was found"):
        critical_tell(
            actor=radiologist,
            critical_result=result,
            told_to="Ward",
            method="phone",
            read_back=True,
            told_at=START - dt.timedelta(minutes=1),
        )


def test_a_site_with_a_list_of_its_own_offers_that_alone(radiologist, study, site):
    CriticalFinding.objects.create(site=site, code="own", display="Our own finding")
    CriticalFinding.objects.create(site=site, code="old", display="Not offered any more", is_active=False)
    assert critical_findings(site) == {"own": "Our own finding"}
    assert flag(radiologist, study, finding="own").finding_display == "Our own finding"


def test_roles_say_who_flags_acknowledges_and_escalates(doctor, admin, radiologist, study):
    with pytest.raises(PermissionDenied):
        flag(doctor, study)
    result = flag(radiologist, study)
    with pytest.raises(PermissionDenied):
        critical_acknowledge(actor=admin, critical_result=result)
    with pytest.raises(PermissionDenied):
        critical_cancel(actor=doctor, critical_result=result, reason="No.")


def test_every_act_is_on_record_and_who_was_told_cannot_be_rewritten(radiologist, doctor, study):
    result = flag(radiologist, study)
    critical_tell(actor=radiologist, critical_result=result, told_to="Ward", method="phone", read_back=False)
    critical_acknowledge(actor=doctor, critical_result=result)
    actions = (
        AuditEvent.objects.filter(object_id=str(result.pk)).order_by("seq").values_list("action", flat=True)
    )
    assert list(actions) == [
        "critical_flagged", "critical_escalated", "critical_told", "critical_acknowledged",
    ]  # fmt: skip
    with pytest.raises(DatabaseError), transaction.atomic():
        CriticalCommunication.objects.update(told_to="Nobody")
