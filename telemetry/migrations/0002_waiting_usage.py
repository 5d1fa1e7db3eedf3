"""Usage of spans that waits until the spans below them have had time to arrive."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql" / "waiting.sql"


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0001_tables")]
    operations = [migrations.RunSQL(SQL.read_text())]
