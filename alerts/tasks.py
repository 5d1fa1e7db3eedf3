"""Entrances of the worker: each is one call."""

from celery import shared_task
from django.utils import timezone

from alerts import evaluate, notify, retention, senders, wake
from alerts.series import portal_source


@shared_task
def tick() -> None:
    """Evaluate the rules that are due."""
    evaluate.tick(timezone.now(), portal_source(None))


@shared_task
def sweep() -> None:
    """Wake every channel that has something to send: retries, and what a dead worker left."""
    wake.wake_channels(notify.due_channels(timezone.now()))


@shared_task
def send_channel(channel_id: int) -> None:
    """Send what is due on one channel, on a thread of its own."""
    senders.send_soon(channel_id)


@shared_task
def forget() -> None:
    """Forget alerts that never fired, once they are old."""
    retention.forget_unfired(timezone.now())
