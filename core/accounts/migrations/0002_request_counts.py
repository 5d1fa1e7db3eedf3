"""Requests per key in the current minute. Unlogged: a crash forgets one minute's counts, and no request waits for the log."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_tables_of_accounts")]
    operations = [
        migrations.RunSQL(
            "CREATE UNLOGGED TABLE accounts_request_count (key_id bigint PRIMARY KEY, minute bigint NOT NULL, count integer NOT NULL)",
            "DROP TABLE accounts_request_count",
        )
    ]
