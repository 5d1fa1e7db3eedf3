"""Names of metrics that arrived and are not understood."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql" / "unread_metrics.sql"


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0002_waiting_usage")]
    operations = [migrations.RunSQL(SQL.read_text())]
