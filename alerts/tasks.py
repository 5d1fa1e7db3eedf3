"""Entrances of the worker: each is one call."""

from celery import shared_task
from django.utils import timezone

from alerts.alertmanager.external import expire_alerts
from alerts.canary.run import forget as forget_canaries
from alerts.canary.run import pulse
from alerts.evaluation import late, retention
from alerts.evaluation.series import portal_source
from alerts.evaluation.tick import tick as evaluate_due_slots
from alerts.incidents.collect import flush_due
from alerts.incidents.resolve import reopen_due
from alerts.models import Rule
from alerts.notify import claims, pool, wake
from alerts.oncall.escalate import escalate_due
from alerts.rules.selectors import note_unmatched
from alerts.runbooks.folder import read_configured_folder
from alerts.silencing.notices import notify_of_ends
from alerts.silencing.recurring import make_due_silences


@shared_task
def tick() -> None:
    """Evaluate the rules that are due."""
    evaluate_due_slots(timezone.now(), portal_source(None))


@shared_task
def reopen() -> None:
    """Evaluate slots again into which records came late."""
    late.note(timezone.now())
    late.reopen(timezone.now(), portal_source(None))


@shared_task
def canary() -> None:
    """Let a record of the portal's own go the whole way, once in an interval."""
    pulse(timezone.now())


@shared_task
def flush() -> None:
    """End what others sent and nobody renewed, notify of the incidents whose time has
    come, then take the steps that are due."""
    expire_alerts(timezone.now())
    flush_due(timezone.now())
    escalate_due(timezone.now())
    reopen_due(timezone.now())


@shared_task
def plan_silences() -> None:
    """Make the next silences of those that recur, and notify of those that end soon."""
    make_due_silences(timezone.now())
    notify_of_ends(timezone.now())


@shared_task
def sweep() -> None:
    """Wake every channel that has something to send: retries, and what a dead worker left."""
    wake.wake_channels(claims.due_channels(timezone.now()))


@shared_task
def send_channel(channel_id: int) -> None:
    """Send what is due on one channel, on a thread of its own."""
    pool.send_soon(channel_id)


@shared_task
def forget() -> None:
    """Forget alerts that never fired and what rules recorded, once they are old."""
    retention.forget_unfired(timezone.now())
    retention.forget_recorded(timezone.now())
    forget_canaries(timezone.now())


@shared_task
def match_selectors() -> None:
    """Look which selectors of rules match no series."""
    note_unmatched(Rule.objects.filter(enabled=True, external=False).select_related("workspace"))


@shared_task
def read_runbooks() -> None:
    """Read the folder of runbooks, where there is one."""
    read_configured_folder(timezone.now())
