"""Up to when a service's calls of tools were counted from metrics; `metrics_until` is that of its calls of models."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0003_unread_metrics")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE telemetry_service ADD COLUMN tools_until timestamptz",
            "ALTER TABLE telemetry_service DROP COLUMN tools_until",
        )
    ]
