"""The dead man's switch: a service outside is called while rules are evaluated in time, and raises an alarm when no
call comes. So somebody hears of it also when the whole portal, its queue, its machine or its network is gone."""

from __future__ import annotations

import datetime as dt
import logging

from django.conf import settings

from alerts.queries import stalled_groups
from core.net import outbound

log = logging.getLogger(__name__)


def say_alive(now: dt.datetime) -> bool:
    """Call `PORTAL_DEAD_MAN_URL`, unless a group of rules stands still; whether the other side has it.

    A call that fails raises nothing: the next minute tries again, and silence is what the other side waits for."""
    url = settings.PORTAL.dead_man_url
    if not url or stalled_groups(now):
        return False
    try:
        answer = outbound.post(url, b"", {}, private=True)
    except (outbound.Unreachable, outbound.Forbidden) as error:
        log.warning("The dead man's switch could not be called: %s", error)
        return False
    if answer.status >= 300:
        log.warning("The dead man's switch was answered with %s", answer.status)
    return answer.status < 300
