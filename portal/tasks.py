"""The project's own tasks."""

from celery import shared_task
from django.utils import timezone

from portal.health import beat


@shared_task
def heartbeat() -> None:
    """Say that beat, queue and worker are alive."""
    beat("worker", timezone.now())
