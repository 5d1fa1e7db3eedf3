"""The tasks of telemetry: arguments in, one call. Each may run twice, late, or beside itself without harm."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from telemetry.deciding import settle
from telemetry.ingest import bodies, forward
from telemetry.samples import demo_traces
from telemetry.store import partitions, retention, sampling

# The worker drains the spool (usage.tasks.drain_spool): it must know how to store what lies there.
FORMS = tuple(signal.name for signal in bodies.SIGNALS)


@shared_task(ignore_result=True)
def count_usage() -> None:
    """Count the usage of spans that have waited long enough."""
    settle.settle(settings.PORTAL.lineage_wait)


@shared_task(ignore_result=True)
def sample() -> None:
    """Keep or drop the traces of which nothing more comes."""
    sampling.decide(timezone.now())


@shared_task(ignore_result=True)
def keep_partitions() -> None:
    """Make the partitions of the next days, and drop what is past its retention."""
    now = timezone.now()
    partitions.ensure_ahead(now)
    retention.drop_old(now)


@shared_task(ignore_result=True)
def send_demo_traces() -> None:
    """Send the executions of demo traffic, where it runs."""
    demo_traces.send_due(timezone.now())


@shared_task(ignore_result=True)
def forward_telemetry() -> None:
    """Hand on to another collector what arrived."""
    forward.send_waiting()
