"""The log's task."""

from celery import shared_task
from django.utils import timezone

from core.audit import partitions


@shared_task(ignore_result=True)
def keep_partitions() -> None:
    """Make the log's months and drop old ones."""
    partitions.keep(timezone.now())
