"""Two radiologists at the same moment, on a real PostgreSQL: one claims, and what is signed is signed once."""

from __future__ import annotations

import pytest

from tests.harness.portal import clean_environment, manage
from tests.harness.servers import postgres_database

RACE = """
import threading
from django.db import connection
from diagnosis.errors import Conflict
from diagnosis.models import AuditEvent, Claim, Site, Study, User
from diagnosis.services.accounts import membership_set, system_user
from diagnosis.services.claims import claim_release, claim_take
site = Site.objects.create(name="Here")
people = [User.objects.create(username=f"reader{n}", first_name=f"Reader{n}") for n in range(2)]
for person in people:
    membership_set(actor=system_user(), user=person, site=site, role="radiologist")
from diagnosis.models import Patient
patient = Patient.objects.create(site=site, mrn="1", person_name="Example^Ana")
studies = [
    Study.objects.create(site=site, patient=patient, study_instance_uid=f"2.25.{n}", submitted_by=people[0], status="to_read")
    for n in range(40)
]
outcomes = [[], []]
def read(number, barrier):
    try:
        for study in studies:
            barrier.wait(30)
            try:
                claim_take(actor=people[number], study=study)
                outcomes[number].append("claimed")
            except Conflict as conflict:
                outcomes[number].append(str(conflict).partition(" until")[0])
    finally:
        connection.close()
barrier = threading.Barrier(2)
threads = [threading.Thread(target=read, args=(number, barrier)) for number in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
pairs = {tuple(sorted(pair)) for pair in zip(*outcomes)}
print(len(outcomes[0]), len(outcomes[1]), Claim.objects.count())
print(sorted(pairs) in ([("Claimed by Reader0", "claimed")], [("Claimed by Reader1", "claimed")],
      [("Claimed by Reader0", "claimed"), ("Claimed by Reader1", "claimed")]))
print(AuditEvent.objects.filter(action="study_claimed").count())
"""


@pytest.mark.xdist_group("production")
def test_of_two_who_claim_at_once_one_does_and_the_other_is_told_who(postgres, tmp_path):
    with postgres_database(postgres, "claims") as url:
        environment = clean_environment(CXR_MODE="embedded", CXR_VAR_DIR=str(tmp_path), DATABASE_URL=url)
        manage(environment, "migrate", "--verbosity", "0")
        said = manage(environment, "shell", "--no-imports", "--command", RACE)
    assert said.splitlines() == ["40 40 40", "True", "40"]
