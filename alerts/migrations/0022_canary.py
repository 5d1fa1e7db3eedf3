"""The canary's runs, and the rule that tells when it is late."""

from django.db import migrations, models

from alerts.rules.defaults import ensure_defaults


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0021_late_records"),
    ]

    operations = [
        migrations.CreateModel(
            name="CanaryRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "slot",
                    models.BigIntegerField(
                        help_text="Which of the intervals since the Unix epoch it stands for.", unique=True
                    ),
                ),
                ("sent_at", models.DateTimeField()),
                ("found_at", models.DateTimeField(null=True)),
                ("arrived_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["-sent_at"],
            },
        ),
        migrations.RunPython(lambda apps, editor: ensure_defaults(apps.get_model), migrations.RunPython.noop),
    ]
