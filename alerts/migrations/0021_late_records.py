"""Groups whose rules are to be evaluated again, and what that corrected."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0020_recurring_silences"),
    ]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="correction",
            field=models.CharField(
                blank=True, editable=False, help_text="What records that came late have changed.", max_length=200
            ),
        ),
        migrations.AddField(
            model_name="rulegroup",
            name="reopen_from",
            field=models.DateTimeField(
                editable=False, help_text="Slots from here on are to be evaluated again: records came late.", null=True
            ),
        ),
    ]
