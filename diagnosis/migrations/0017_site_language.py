from django.db import migrations, models

import diagnosis.models.site


class Migration(migrations.Migration):
    dependencies = [
        ("diagnosis", "0016_suspicion_rank"),
    ]

    operations = [
        migrations.AddField(
            model_name="site",
            name="language",
            field=models.CharField(
                choices=diagnosis.models.site.site_languages,
                default="en",
                help_text="Reports on paper are printed in it, and people who have chosen no language get their mails in it.",
                max_length=10,
                verbose_name="language",
            ),
        ),
    ]
