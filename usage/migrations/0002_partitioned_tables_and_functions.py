"""What Django's models cannot say: the tables that grow with time, and the functions on them.

Partitions are made by core.pg.partitions. None of these tables references another: a check per row would cost more than it proves, as
rows are only written by usage.store.writer, which has just read or made what they point at.
"""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
FILES = ("partitioned_tables.sql", "usage_add.sql", "generations.sql")


class Migration(migrations.Migration):
    dependencies = [("usage", "0001_tables")]
    operations = [migrations.RunSQL((SQL / name).read_text()) for name in FILES]
