"""The hours of the rollups by column, as the 15 s rollups have them (usage.store.chunks)."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("usage", "0005_typed_batch")]
    operations = [
        migrations.RunSQL(
            "CREATE TABLE usage_chunk_1h (LIKE usage_chunk_15s INCLUDING ALL) PARTITION BY RANGE (bucket)",
            "DROP TABLE usage_chunk_1h",
        )
    ]
