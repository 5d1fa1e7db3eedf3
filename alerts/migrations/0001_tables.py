import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Channel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, unique=True)),
                ('kind', models.CharField(choices=[('slack', 'Slack'), ('email', 'Email'), ('webhook', 'Webhook')], max_length=20)),
                ('config_encrypted', models.BinaryField()),
                ('target', models.CharField(blank=True, editable=False, max_length=500)),
                ('severities', models.JSONField(blank=True, default=list, help_text='Severities that it takes; empty takes all.')),
                ('send_resolved', models.BooleanField(default=True)),
                ('enabled', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='RuleGroup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=200, unique=True)),
                ('interval_seconds', models.PositiveIntegerField(default=60, validators=[django.core.validators.MinValueValidator(5)])),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('evaluated_until', models.DateTimeField(blank=True, editable=False, help_text='The last slot evaluated.', null=True)),
                ('last_evaluated_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('last_duration_seconds', models.FloatField(blank=True, editable=False, null=True)),
                ('slots_skipped', models.PositiveBigIntegerField(default=0, editable=False, help_text='Missed slots that were too old to be made up for.')),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Runbook',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(max_length=100, unique=True)),
                ('title', models.CharField(max_length=200)),
            ],
            options={
                'ordering': ['title'],
            },
        ),
        migrations.CreateModel(
            name='Alert',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('fingerprint', models.CharField(help_text='Hash of the labels.', max_length=32)),
                ('labels', models.JSONField()),
                ('state', models.CharField(choices=[('inactive', 'Inactive'), ('pending', 'Pending'), ('firing', 'Firing'), ('resolved', 'Resolved')], max_length=10)),
                ('value', models.FloatField(help_text='At the last sample.')),
                ('annotations', models.JSONField(default=dict, help_text='Expanded at the last sample.')),
                ('active_at', models.DateTimeField()),
                ('fired_at', models.DateTimeField(blank=True, null=True)),
                ('missing_since', models.DateTimeField(blank=True, help_text='First miss of an alert that keeps firing.', null=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('acknowledged_at', models.DateTimeField(blank=True, null=True)),
                ('acknowledged_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-active_at', '-id'],
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('channel_name', models.CharField(help_text='Stays when the channel is gone.', max_length=100)),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('sending', 'Sending'), ('sent', 'Sent'), ('failed', 'Failed'), ('skipped', 'Skipped')], default='pending', max_length=10)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('created_at', models.DateTimeField()),
                ('next_attempt_at', models.DateTimeField()),
                ('claimed_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('alert', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='alerts.alert')),
                ('channel', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='deliveries', to='alerts.channel')),
            ],
            options={
                'verbose_name_plural': 'deliveries',
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='DeliveryAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('at', models.DateTimeField()),
                ('duration_seconds', models.FloatField()),
                ('ok', models.BooleanField()),
                ('reply', models.CharField(blank=True, max_length=200)),
                ('error', models.TextField(blank=True)),
                ('delivery', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tries', to='alerts.delivery')),
            ],
            options={
                'ordering': ['number'],
            },
        ),
        migrations.CreateModel(
            name='Flip',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_state', models.CharField(choices=[('inactive', 'Inactive'), ('pending', 'Pending'), ('firing', 'Firing'), ('resolved', 'Resolved')], max_length=10)),
                ('to_state', models.CharField(choices=[('inactive', 'Inactive'), ('pending', 'Pending'), ('firing', 'Firing'), ('resolved', 'Resolved')], max_length=10)),
                ('at', models.DateTimeField()),
                ('value', models.FloatField(null=True)),
                ('threshold', models.FloatField(help_text="The rule's, when it happened.", null=True)),
                ('created_at', models.DateTimeField()),
                ('alert', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='flips', to='alerts.alert')),
            ],
            options={
                'ordering': ['at', 'id'],
            },
        ),
        migrations.AddField(
            model_name='delivery',
            name='flip',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='alerts.flip'),
        ),
        migrations.CreateModel(
            name='Rule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveIntegerField(default=0)),
                ('name', models.CharField(help_text='The label alertname of its alerts.', max_length=200, unique=True)),
                ('title', models.CharField(blank=True, help_text="What it watches, in the operator's words.", max_length=200)),
                ('expr', models.TextField()),
                ('threshold', models.FloatField(blank=True, null=True)),
                ('unit', models.CharField(blank=True, help_text='Unit of the value.', max_length=40)),
                ('threshold_unit', models.CharField(blank=True, help_text='What the threshold counts, if not the unit.', max_length=80)),
                ('for_seconds', models.PositiveIntegerField(default=0)),
                ('keep_firing_seconds', models.PositiveIntegerField(default=0)),
                ('severity', models.CharField(choices=[('critical', 'Critical'), ('warning', 'Warning'), ('info', 'Info')], default='warning', max_length=20)),
                ('labels', models.JSONField(blank=True, default=dict)),
                ('annotations', models.JSONField(blank=True, default=dict)),
                ('enabled', models.BooleanField(default=True)),
                ('paused_until', models.DateTimeField(blank=True, null=True)),
                ('channel_kinds', models.JSONField(blank=True, default=list, help_text='While no channel is chosen: only these kinds.')),
                ('version', models.PositiveIntegerField(default=1, editable=False)),
                ('health', models.CharField(choices=[('unknown', 'Unknown'), ('ok', 'Ok'), ('err', 'Error')], default='unknown', editable=False, max_length=10)),
                ('last_error', models.TextField(blank=True, editable=False)),
                ('last_evaluated_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('last_duration_seconds', models.FloatField(blank=True, editable=False, null=True)),
                ('evaluations', models.PositiveBigIntegerField(default=0, editable=False, help_text='Slots at which it was evaluated.')),
                ('evaluation_failures', models.PositiveBigIntegerField(default=0, editable=False, help_text='Those of them at which that failed.')),
                ('channels', models.ManyToManyField(blank=True, help_text='Empty: every channel that takes the severity.', related_name='rules', to='alerts.channel')),
                ('group', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='rules', to='alerts.rulegroup')),
                ('runbook', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='rules', to='alerts.runbook')),
            ],
            options={
                'ordering': ['group__name', 'position', 'id'],
            },
        ),
        migrations.AddField(
            model_name='alert',
            name='rule',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='alerts', to='alerts.rule'),
        ),
        migrations.CreateModel(
            name='RuleChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.PositiveIntegerField()),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('author_name', models.CharField(blank=True, max_length=150)),
                ('fields', models.JSONField(help_text='{field: [old, new]}')),
                ('author', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
                ('rule', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='alerts.rule')),
            ],
            options={
                'ordering': ['-version'],
            },
        ),
        migrations.CreateModel(
            name='RunbookVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('text', models.TextField()),
                ('author_name', models.CharField(blank=True, help_text='Stays when the account is gone.', max_length=150)),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('author', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
                ('runbook', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='alerts.runbook')),
            ],
            options={
                'ordering': ['-number'],
            },
        ),
        migrations.AddConstraint(
            model_name='flip',
            constraint=models.UniqueConstraint(fields=('alert', 'at', 'to_state'), name='flip_once'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state__in', ['pending', 'sending'])), fields=['next_attempt_at'], name='delivery_due'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(models.F('channel'), models.OrderBy(models.F('id'), descending=True), name='delivery_of_channel'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(fields=('flip', 'channel'), name='delivery_once'),
        ),
        migrations.AddIndex(
            model_name='alert',
            index=models.Index(condition=models.Q(('fired_at__isnull', False)), fields=['-fired_at'], name='alert_history'),
        ),
        migrations.AddConstraint(
            model_name='alert',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ('pending', 'firing'))), fields=('rule', 'fingerprint'), name='alert_open_once'),
        ),
        migrations.AddConstraint(
            model_name='rulechange',
            constraint=models.UniqueConstraint(fields=('rule', 'version'), name='rule_change_once'),
        ),
        migrations.AddConstraint(
            model_name='runbookversion',
            constraint=models.UniqueConstraint(fields=('runbook', 'number'), name='runbook_version_once'),
        ),
    ]
