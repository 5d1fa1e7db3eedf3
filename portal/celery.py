"""The Celery app and its schedule. By default the queue lives in the portal's own Postgres (kombu's pgmq transport)."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

from portal.tracing.start import finish_tracing, start_tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

# A task may run this long. Past the visibility timeout the queue hands it to another worker, so that must be longer.
TASK_SECONDS = 300
VISIBILITY_SECONDS = 2 * TASK_SECONDS

# Name of an entry: task, every how many seconds.
SCHEDULE: dict[str, tuple[str, float]] = {
    "heartbeat": ("portal.tasks.heartbeat", 15),
    "say that rules are evaluated": ("portal.tasks.say_alive", 60),
    "drain spool": ("usage.tasks.drain_spool", 5),
    "downsample rollups": ("usage.tasks.downsample", 30),
    "measure budgets": ("usage.tasks.measure_budgets", 60),
    "send demo traffic": ("usage.tasks.send_demo_traffic", 5),
    "send demo traces": ("telemetry.tasks.send_demo_traces", 15),
    "forward telemetry": ("telemetry.tasks.forward_telemetry", 5),
    "keep audit log": ("core.audit.tasks.keep_partitions", 3600),
    "keep partitions": ("usage.tasks.keep_partitions", 3600),
    "count usage of spans": ("telemetry.tasks.count_usage", 2),
    "sample traces": ("telemetry.tasks.sample", 30),
    "keep telemetry's partitions": ("telemetry.tasks.keep_partitions", 3600),
    "evaluate rules": ("alerts.tasks.tick", 5),
    "evaluate late records": ("alerts.tasks.reopen", 15),
    "send the canary": ("alerts.tasks.canary", 20),
    "flush incidents": ("alerts.tasks.flush", 2),
    "plan silences": ("alerts.tasks.plan_silences", 30),
    "send what waits": ("alerts.tasks.sweep", 10),
    "forget old alerts": ("alerts.tasks.forget", 3600),
    "match rules to series": ("alerts.tasks.match_selectors", 3600),
    "read runbooks": ("alerts.tasks.read_runbooks", 300),
}


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Celery's form of SCHEDULE. A run that waited until the next was due is dropped, so
    no pile builds up without a worker."""
    return {
        name: {"task": task, "schedule": timedelta(seconds=seconds), "options": {"expires": seconds}}
        for name, (task, seconds) in SCHEDULE.items()
    }


def broker(broker_url: str, database_url: str) -> dict[str, Any]:
    """Celery's broker settings: the configured broker, or pgmq over the portal's database."""
    if broker_url:
        options: dict[str, Any] = {"visibility_timeout": VISIBILITY_SECONDS} if broker_url.startswith("redis") else {}
        return {"broker_url": broker_url, "broker_transport_options": options}
    options = {
        "conn_string": pgmq_parameters(database_url),
        "init_extension": False,  # our migration installs the SQL
        "visibility_timeout": VISIBILITY_SECONDS,
        # There is one queue. Postgres itself looks into it again and again for this long, by one statement.
        "wait_time_seconds": 2,
        "poll_interval_ms": 400,
        "polling_interval": 0.2,
        "pool_size": 4,
        "pool_timeout": 5,
    }
    return {"broker_url": "pgmq://localhost/", "broker_transport_options": options}


def pgmq_parameters(database_url: str) -> str:
    """The database in the form that the pgmq client takes.

    It splits libpq's `name=value` form into its five fields and joins them again without quoting, so each value is
    quoted twice: once for its parser, once for libpq. What is not among the five (sslmode …) rides on the password.
    """
    parameters = {
        "host": "",
        "port": "5432",
        "dbname": "",
        "user": "",
        "password": "",
        **conninfo_to_dict(database_url),
    }
    rest = "".join(
        f" {name}={_quoted(value)}"
        for name, value in parameters.items()
        if name not in ("host", "port", "dbname", "user", "password")
    )
    values = {name: _quoted(parameters[name]) for name in ("host", "port", "dbname", "user")}
    values["password"] = _quoted(parameters["password"]) + rest
    return " ".join(f"{name}={_quoted(value)}" for name, value in values.items())


def _quoted(value: object) -> str:
    """A value of libpq's `name=value` form."""
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


app = Celery("portal")
app.conf.update(
    broker(settings.PORTAL.broker_url, settings.DATABASE_URL),
    timezone="UTC",
    beat_schedule=beat_schedule(),
    beat_scheduler="portal.beat:AskingScheduler",
    beat_schedule_filename=str(settings.PORTAL.data_dir / "beat-schedule"),
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    task_ignore_result=True,
    task_time_limit=TASK_SECONDS,
    # A task whose worker dies is run again; every task claims its work in Postgres, so that a second run does no harm.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    # When the queue is lost for a moment, what runs is run again: let go of it, as its message comes back anyway.
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=1000,
    worker_concurrency=settings.PORTAL.worker_concurrency,
    worker_autoscaler="portal.run.autoscale:PatientAutoscaler",
    worker_enable_remote_control=False,
    worker_send_task_events=False,
)
app.autodiscover_tasks()
worker_process_init.connect(start_tracing)
worker_process_shutdown.connect(finish_tracing)
