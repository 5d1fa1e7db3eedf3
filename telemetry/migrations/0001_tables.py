"""The tables of spans, traces and logs, and the functions that store them.

They are read and written by statements of `telemetry.store` only, so that no model of Django's describes them.
"""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
FILES = ("tables.sql",)


class Migration(migrations.Migration):
    dependencies = [("usage", "0002_partitioned_tables_and_functions")]
    operations = [migrations.RunSQL((SQL / name).read_text()) for name in FILES]
