from django.db import migrations

from alerts.defaults import ensure_defaults


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_tables_of_rules_alerts_and_deliveries")]
    operations = [
        migrations.RunPython(lambda apps, editor: ensure_defaults(apps.get_model), migrations.RunPython.noop),
    ]
