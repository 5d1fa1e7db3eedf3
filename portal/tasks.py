"""The project's own tasks."""

from celery import shared_task
from django.utils import timezone

from portal import dead_man
from portal.health import beat


@shared_task
def heartbeat() -> None:
    """Say that beat, queue and worker are alive."""
    beat("worker", timezone.now())


@shared_task
def say_alive() -> None:
    """Call the address that expects it, unless a group of rules stands still."""
    dead_man.say_alive(timezone.now())
