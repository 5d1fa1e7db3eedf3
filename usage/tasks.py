"""The tasks of stages 4 to 6: arguments in, one call. Each may run twice, late, or beside itself without harm."""

from celery import shared_task
from django.utils import timezone

from usage.boards import budgets
from usage.ingest import pipeline, spool_gauge
from usage.marks.edits import forget_old
from usage.samples import demo
from usage.store import downsampling, partitions, retention


@shared_task(ignore_result=True)
def drain_spool() -> None:
    """Store what was accepted while Postgres was away, and say how much is left."""
    pipeline.drain()
    spool_gauge.report(timezone.now())


@shared_task(ignore_result=True)
def downsample() -> None:
    """Compute the coarser grains of buckets that changed."""
    downsampling.downsample(timezone.now())


@shared_task(ignore_result=True)
def measure_budgets() -> None:
    """Measure each team's spend against its budget."""
    budgets.measure(timezone.now())


@shared_task(ignore_result=True)
def keep_partitions() -> None:
    """Make the partitions of the next days, rotate event ids, and drop what is past its retention."""
    now = timezone.now()
    partitions.ensure_ahead(now)
    retention.rotate_events(now)
    retention.drop_old(now)
    forget_old(now)


@shared_task(ignore_result=True)
def send_demo_traffic() -> None:
    """Send the demo records of the time since the last run, where demo traffic runs."""
    demo.send_due(timezone.now())
