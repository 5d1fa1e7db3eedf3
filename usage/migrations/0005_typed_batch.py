"""The function that stores a batch takes a composite array per table; see its file."""

from pathlib import Path

from django.db import migrations

FUNCTION = Path(__file__).parent / "sql" / "usage_store.sql"


class Migration(migrations.Migration):
    dependencies = [("usage", "0004_missing_usage")]
    operations = [
        # Databases that are older than this migration have it with an argument per column.
        migrations.RunSQL("DROP FUNCTION IF EXISTS usage_store"),
        migrations.RunSQL(FUNCTION.read_text()),
    ]
