"""9 to 10, not yet: incidents that wait for rules whose evaluation was lost.

A worker that dies takes a slot's evaluation with it, and the next tick makes up for it. What an incident says in
between would be of the slot before, and differ from what it had said without the death.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from alerts.evaluation.schedule import due_slots, shift_of
from alerts.incidents.models import Member
from alerts.models import RuleGroup

# Nothing waits longer than that: where no rules are evaluated any more, what is known is said.
LATE = dt.timedelta(seconds=30)


def waiting_for_rules(due: Mapping[int, dt.datetime | None], now: dt.datetime) -> set[int]:
    """Of incidents that are due, by id with their time, those whose rules should have been evaluated by then and were
    not."""
    late = {
        pk: (interval, until, shift_of(name, interval))
        for pk, name, interval, until in RuleGroup.objects.exclude(rules__external=True).values_list(
            "pk", "name", "interval_seconds", "evaluated_until"
        )
        if until is not None and due_slots(interval, until, now, shift_of(name, interval)).due
    }
    if not late:
        return set()
    members = Member.objects.filter(incident__in=due, done=False, alert__rule__group__in=late)
    rows = members.values_list("incident_id", "alert__rule__group_id").distinct()
    return {
        incident_id
        for incident_id, group_id in rows
        for at, (interval, until, shift) in [(due[incident_id], late[group_id])]
        if at is not None and at > now - LATE and due_slots(interval, until, at, shift).due
    }
