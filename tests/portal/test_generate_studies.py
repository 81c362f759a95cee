"""Made-up studies are like real ones to the portal: all that its lists go by is true."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from diagnosis.models import PatientTerm, Review, Site, Study, worklist_facts
from tests.factories import PatientFactory


def facts():
    columns = ("pk", "opinion_state", "pcr_state", "signed_decision", "suspicion_rank", "patient_name_key")
    return sorted(Study.objects.values_list(*columns))


def terms():
    return sorted(PatientTerm.objects.values_list("patient_id", "term"))


@pytest.fixture
def made(db):
    call_command("generate_studies", "60", "--site", "Made Up", verbosity=0)
    return Site.objects.get(name="Made Up")


def test_what_is_written_without_triggers_is_what_they_would_have_written(made):
    written, words = facts(), terms()
    worklist_facts.rebuild(
        connection, ["opinion_state", "pcr_state", "signed_decision", "suspicion_rank", "patient_name_key"]
    )
    assert facts() == written
    assert terms() == words
    assert len(written) == 60
    assert {state for _, state, *_ in written} >= {"label"}


def test_a_fifth_of_few_studies_waits_and_the_rest_is_read_once(made):
    assert Study.objects.filter(status="read").count() == 48
    assert Review.objects.count() == 48


def test_the_triggers_are_back_afterwards(made):
    patient = PatientFactory(site=made, person_name="New^Ana")
    assert patient.terms.filter(term="new").exists()


def test_no_hospital_is_filled_twice_and_none_in_production(made, settings):
    with pytest.raises(CommandError, match="There is a hospital “Made Up” already"):
        call_command("generate_studies", "5", "--site", "Made Up")
    with pytest.raises(CommandError, match="1 or more"):
        call_command("generate_studies", "0")
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="made-up patients do not belong among real ones"):
        call_command("generate_studies", "5", "--site", "Other")
    assert Study.objects.count() == 60
