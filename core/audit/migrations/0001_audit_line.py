"""The audit log: partitioned by month, written by one function; Postgres refuses every change of what was written."""

from django.db import migrations, models

TABLE = """
CREATE TABLE audit_line (
    id bigserial,
    at timestamptz NOT NULL,
    actor_id bigint,
    actor varchar(200) NOT NULL,
    via varchar(10) NOT NULL,
    address inet,
    action varchar(60) NOT NULL,
    object_type varchar(60) NOT NULL,
    object_id varchar(100) NOT NULL,
    object_name varchar(300) NOT NULL,
    workspace varchar(100),
    before jsonb,
    after jsonb,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX audit_line_newest ON audit_line (at DESC, id DESC);
CREATE INDEX audit_line_of_object ON audit_line (object_type, object_id, at DESC);
CREATE INDEX audit_line_of_workspace ON audit_line (workspace, at DESC);
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit_line FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit_line FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
"""

# The month is made ahead by a task; where it was not (no worker ran), the first line of the month makes it.
APPEND = """
CREATE FUNCTION audit_append(line jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    month timestamp := date_trunc('month', (line ->> 'at')::timestamptz AT TIME ZONE 'UTC');
    name text := 'audit_line_' || to_char(month, 'YYYYMM');
BEGIN
    IF to_regclass(name) IS NULL THEN
        PERFORM pg_advisory_xact_lock(7310003);  -- that of core.pg.partitions
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF audit_line FOR VALUES FROM (%L) TO (%L)',
            name, month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
    END IF;
    INSERT INTO audit_line (at, actor_id, actor, via, address, action, object_type, object_id, object_name, workspace, before, after)
    SELECT r.at, r.actor_id, r.actor, r.via, r.address, r.action, r.object_type, r.object_id, r.object_name, r.workspace,
        nullif(r.before, 'null'), nullif(r.after, 'null')
    FROM jsonb_to_record(line) AS r (at timestamptz, actor_id bigint, actor text, via text, address inet, action text, object_type text,
        object_id text, object_name text, workspace text, before jsonb, after jsonb);
END $$;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name='AuditLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('actor_id', models.BigIntegerField(help_text="The user's id; null for a key or the portal itself.", null=True)),
                ('actor', models.CharField(help_text='Name of the user or key, or `portal`.', max_length=200)),
                ('via', models.CharField(choices=[('page', 'Page'), ('api', 'API'), ('admin', 'Admin'), ('apply', 'Apply'), ('task', 'Task'), ('command', 'Command')], max_length=10)),
                ('address', models.GenericIPAddressField(help_text='Where the request came from.', null=True)),
                ('action', models.CharField(help_text='What was done: created, changed, deleted …', max_length=60)),
                ('object_type', models.CharField(max_length=60)),
                ('object_id', models.CharField(max_length=100)),
                ('object_name', models.CharField(max_length=300)),
                ('workspace', models.CharField(help_text='Slug; null for the whole portal.', max_length=100, null=True)),
                ('before', models.JSONField(help_text='The fields that changed, as they were; secrets are masked.', null=True)),
                ('after', models.JSONField(help_text='The same fields as they are now.', null=True)),
            ],
            options={
                'db_table': 'audit_line',
                'ordering': ['-at', '-id'],
                'managed': False,
            },
        ),
        migrations.RunSQL(TABLE, "DROP TABLE audit_line; DROP FUNCTION audit_refuse"),
        migrations.RunSQL(APPEND, "DROP FUNCTION audit_append"),
    ]
