from django.db import migrations, models

# As `manage.py createcachetable` makes it, for django.core.cache.backends.db.
ATTEMPTS = """
CREATE TABLE sign_in_attempts (cache_key varchar(255) PRIMARY KEY, value text NOT NULL, expires timestamptz NOT NULL);
CREATE INDEX sign_in_attempts_expires ON sign_in_attempts (expires);
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_invitations")]
    operations = [
        migrations.RunSQL(ATTEMPTS, "DROP TABLE sign_in_attempts"),
        migrations.AddField(
            model_name="workspace",
            name="time_zone",
            field=models.CharField(
                default="UTC",
                help_text="Such as Europe/Berlin: costs and budgets count days by it.",
                max_length=64,
            ),
        ),
    ]
