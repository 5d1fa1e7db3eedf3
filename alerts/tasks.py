"""Entrances of the worker: each is one call."""

from celery import shared_task
from django.utils import timezone

from alerts import evaluate, notify, retention, wake
from alerts.series import portal_source

# Longer than a drain and the longest attempt after it, shorter than a claim: what overlaps would be sent twice.
SEND_LIMIT = 80


@shared_task
def tick() -> None:
    """Evaluate the rules that are due."""
    evaluate.tick(timezone.now(), portal_source(None))


@shared_task
def sweep() -> None:
    """Wake every channel that has something to send: retries, and what a dead worker left."""
    wake.wake_channels(notify.due_channels(timezone.now()))


@shared_task(time_limit=SEND_LIMIT)
def send_channel(channel_id: int) -> None:
    """Send what is due on one channel."""
    notify.send_channel(channel_id, timezone.now)


@shared_task
def forget() -> None:
    """Forget alerts that never fired, once they are old."""
    retention.forget_unfired(timezone.now())
