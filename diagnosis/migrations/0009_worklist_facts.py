"""Fill what the worklist is narrowed, sorted and searched by."""

from django.db import migrations

from diagnosis.models import worklist_facts
from diagnosis.models.search_key import name_key, search_terms

BATCH = 2_000


def fill(apps, schema_editor):
    Patient = apps.get_model("diagnosis", "Patient")
    patients = Patient.objects.using(schema_editor.connection.alias)
    batch = []

    def write():
        patients.bulk_update(batch, ["search_terms", "name_key"])
        batch.clear()

    for patient in patients.only("pk", "person_name", "mrn").iterator(BATCH):
        # The model of a migration derives nothing by itself.
        patient.derived_search_terms = search_terms(person_name=patient.person_name, mrn=patient.mrn)
        patient.derived_name_key = name_key(patient.person_name)
        patient.search_terms, patient.name_key = patient.derived_search_terms, patient.derived_name_key
        batch.append(patient)
        if len(batch) == BATCH:
            write()
    write()
    worklist_facts.rebuild(schema_editor.connection, ["opinion_state", "pcr_state", "patient_name_key"])


class Migration(migrations.Migration):
    dependencies = [("diagnosis", "0008_worklist")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
