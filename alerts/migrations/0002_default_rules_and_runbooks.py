from django.db import migrations

from alerts.rules.defaults import ensure_defaults


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_tables")]
    operations = [
        migrations.RunPython(lambda apps, editor: ensure_defaults(apps.get_model), migrations.RunPython.noop),
    ]
