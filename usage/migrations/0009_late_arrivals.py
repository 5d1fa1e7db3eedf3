"""Batches note that records of theirs came late, for the rules that were evaluated before."""

from pathlib import Path

from django.db import migrations, models

FUNCTION = Path(__file__).parent / "sql" / "usage_store.sql"
BEGINNING = "CREATE FUNCTION usage_store"


class Migration(migrations.Migration):
    dependencies = [("usage", "0008_label_rules")]
    operations = [
        migrations.CreateModel(
            name="LateArrival",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("workspace_id", models.BigIntegerField()),
                ("kind", models.CharField(max_length=40)),
                ("first_at", models.DateTimeField()),
            ],
        ),
        # The types that its file begins with are there already.
        migrations.RunSQL("DROP FUNCTION IF EXISTS usage_store"),
        migrations.RunSQL(BEGINNING + FUNCTION.read_text().split(BEGINNING)[1]),
    ]
