"""Tells a worker that a channel has something to send. By the task's name: the tasks import what imports this."""

from collections.abc import Iterable

from celery import current_app

SEND = "alerts.tasks.send_channel"
EXPIRES = 60


def wake_channels(channel_ids: Iterable[int]) -> None:
    """One task per channel, so that a slow one holds up no other. Lost or late ones do no harm: the sweeper comes
    again."""
    for channel_id in channel_ids:
        current_app.send_task(SEND, args=[channel_id], expires=EXPIRES, retry=False)
