import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '0001_tables_of_accounts'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='GaugeSample',
            fields=[
                ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('bucket', models.DateTimeField()),
                ('at', models.DateTimeField()),
                ('value', models.FloatField()),
            ],
            options={
                'db_table': 'usage_gauge_sample',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='Receipt',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('received_at', models.DateTimeField()),
                ('state', models.TextField(choices=[('stored', 'stored'), ('spooled', 'spooled'), ('dead', 'dead letter')])),
                ('accepted', models.IntegerField()),
                ('duplicates', models.IntegerField()),
                ('rejected', models.IntegerField()),
                ('reasons', models.JSONField(help_text='The first refused records: index, field, error.')),
                ('body_bytes', models.IntegerField()),
                ('seconds', models.FloatField(help_text='From receipt to the commit.')),
                ('stored_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'usage_receipt',
                'ordering': ['-received_at'],
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='Record',
            fields=[
                ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('event_id', models.UUIDField()),
                ('at', models.DateTimeField()),
                ('received_at', models.DateTimeField()),
                ('receipt', models.UUIDField()),
                ('trace_id', models.TextField()),
                ('span_id', models.TextField()),
                ('prompt_tokens', models.BigIntegerField(null=True)),
                ('completion_tokens', models.BigIntegerField(null=True)),
                ('cached_tokens', models.BigIntegerField(null=True)),
                ('reasoning_tokens', models.BigIntegerField(null=True)),
                ('cost_usd', models.FloatField(null=True)),
                ('price_source', models.TextField(help_text='client, operator:<id>, genai-prices:<provider>/<model>; empty: no price is known.')),
                ('duration_seconds', models.FloatField(null=True)),
                ('rate_limit_delay_seconds', models.FloatField(null=True)),
                ('value', models.FloatField(null=True)),
                ('attributes', models.JSONField(null=True)),
                ('overflow', models.JSONField(help_text="The record's own labels, where its dimension is an overflow one.", null=True)),
            ],
            options={
                'db_table': 'usage_record',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='Rollup15s',
            fields=[
                ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('bucket', models.DateTimeField()),
                ('measures', django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), size=None)),
            ],
            options={
                'db_table': 'usage_rollup_15s',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='Rollup1h',
            fields=[
                ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('bucket', models.DateTimeField()),
                ('measures', django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), size=None)),
            ],
            options={
                'db_table': 'usage_rollup_1h',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='Rollup5m',
            fields=[
                ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('bucket', models.DateTimeField()),
                ('measures', django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), size=None)),
            ],
            options={
                'db_table': 'usage_rollup_5m',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='Budget',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('team', models.CharField(max_length=200, unique=True)),
                ('limit_usd', models.FloatField(verbose_name='limit, USD')),
                ('period', models.CharField(choices=[('day', 'day'), ('week', 'week'), ('month', 'month')], default='month', max_length=10)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ['team'],
            },
        ),
        migrations.CreateModel(
            name='DemoTraffic',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('started_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('sent_until', models.DateTimeField()),
            ],
            options={
                'verbose_name_plural': 'demo traffic',
            },
        ),
        migrations.CreateModel(
            name='Dimension',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=30)),
                ('labels', models.JSONField()),
                ('digest', models.BinaryField(max_length=16, unique=True)),
                ('first_at', models.DateTimeField(help_text='Earliest bucket with a record: where its counters start from 0.')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.CreateModel(
            name='DirtyBucket',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bucket', models.DateTimeField()),
                ('claimed', models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel(
            name='Price',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(help_text='As in the records; * for any.', max_length=200)),
                ('model', models.CharField(help_text='As in the records; may hold *.', max_length=200)),
                ('input_usd', models.FloatField(verbose_name='input, USD per million tokens')),
                ('output_usd', models.FloatField(verbose_name='output, USD per million tokens')),
                ('cached_usd', models.FloatField(blank=True, null=True, verbose_name='cached input, USD per million tokens')),
                ('valid_from', models.DateTimeField(default=django.utils.timezone.now)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ['provider', 'model', '-valid_from'],
            },
        ),
        migrations.CreateModel(
            name='Watermark',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('generation', models.IntegerField(default=0, help_text='Where new event ids go.')),
                ('generation_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('floor_15s', models.DateTimeField(help_text='15 s rollups exist from here on.')),
                ('floor_5m', models.DateTimeField(help_text='5 min rollups exist from here on.')),
                ('floor_1h', models.DateTimeField(help_text='1 h rollups exist from here on.')),
            ],
        ),
        migrations.CreateModel(
            name='DeadLetter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('receipt', models.UUIDField(unique=True)),
                ('received_at', models.DateTimeField()),
                ('records', models.PositiveIntegerField()),
                ('body', models.BinaryField(help_text='The batch as it lay in the spool.')),
                ('error', models.TextField()),
                ('attempts', models.PositiveIntegerField(default=1)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('replayed_at', models.DateTimeField(blank=True, null=True)),
                ('key', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='accounts.apikey')),
                ('workspace', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.workspace')),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='Total',
            fields=[
                ('dimension', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='total', serialize=False, to='usage.dimension')),
                ('measures', django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), size=None)),
            ],
        ),
        migrations.AddIndex(
            model_name='dimension',
            index=models.Index(fields=['kind'], name='dimension_of_kind'),
        ),
        migrations.AddConstraint(
            model_name='dirtybucket',
            constraint=models.UniqueConstraint(fields=('bucket', 'claimed'), name='dirty_bucket_once'),
        ),
        migrations.AddField(
            model_name='price',
            name='created_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
    ]
