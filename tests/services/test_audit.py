"""The audit chain holds, and says where it was broken."""

import pytest
from django.db import DatabaseError, connection, transaction

from diagnosis.models import AuditAction, AuditEvent, Patient, append_only
from diagnosis.services import audit, patients


@pytest.fixture
def chain(doctor, site):
    for number in range(3):
        patients.patient_create(actor=doctor, site=site, mrn=f"A-{number}", person_name="Example^Ana")
    return AuditEvent.objects.order_by("seq")


def test_every_act_adds_one_event_and_the_chain_holds(chain):
    assert chain.filter(action=AuditAction.PATIENT_CREATED).count() == 3
    assert list(chain.values_list("seq", flat=True)) == list(range(1, chain.count() + 1))
    assert audit.first_broken_event() is None


def test_an_event_says_who_in_which_role_did_what_to_whom(chain, doctor, site):
    event = chain.last()
    assert (event.actor, event.actor_name, event.actor_role) == (doctor, "doctor", "doctor")
    assert (event.site, event.patient.mrn, event.object_type) == (site, "A-2", "patient")


@pytest.mark.parametrize(
    "statement", ["UPDATE diagnosis_auditevent SET actor_name='nobody'", "DELETE FROM diagnosis_auditevent"]
)
def test_the_database_refuses_to_change_or_delete_events(chain, statement):
    with pytest.raises(DatabaseError, match="never changed or deleted"), transaction.atomic():
        connection.cursor().execute(statement)
    assert audit.first_broken_event() is None


def test_an_event_altered_behind_the_guard_is_named(chain):
    append_only.uninstall(connection)
    victim = chain.first()
    AuditEvent.objects.filter(pk=victim.pk).update(actor_name="nobody")
    assert audit.first_broken_event() == victim.seq


def test_an_event_cut_out_behind_the_guard_is_named(chain):
    append_only.uninstall(connection)
    victim = list(chain)[1]
    AuditEvent.objects.filter(pk=victim.pk).delete()
    assert audit.first_broken_event() == victim.seq


def test_a_cut_tail_is_noticed_while_the_head_still_knows_of_it(chain):
    append_only.uninstall(connection)
    last = chain.last()
    AuditEvent.objects.filter(pk=last.pk).delete()
    assert audit.first_broken_event() == last.seq


def test_without_its_event_the_act_does_not_happen(doctor, site, monkeypatch):
    def disk_full(**_):
        raise DatabaseError("disk full")

    monkeypatch.setattr(patients, "audit_record", disk_full)
    with pytest.raises(DatabaseError):
        patients.patient_create(actor=doctor, site=site, mrn="A-9")
    assert not Patient.objects.exists()
