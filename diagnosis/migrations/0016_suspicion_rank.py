from django.db import migrations, models

from diagnosis.models import worklist_facts


def fill(apps, schema_editor):
    worklist_facts.rebuild(schema_editor.connection, ["suspicion_rank"])


class Migration(migrations.Migration):
    dependencies = [
        ("diagnosis", "0015_draft_choices_second_report"),
    ]

    operations = [
        migrations.AddField(
            model_name="study",
            name="suspicion_rank",
            field=models.SmallIntegerField(
                default=500,
                editable=False,
                help_text="Thousand times the probability of a normal image, of its least normal one: 0 for the most suspicious.",
            ),
        ),
        migrations.AddIndex(
            model_name="study",
            index=models.Index(
                condition=models.Q(("status__in", ("analysing", "to_read"))),
                fields=["site", "priority_rank", "suspicion_rank", "created_at", "id"],
                name="study_open_by_suspicion",
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
