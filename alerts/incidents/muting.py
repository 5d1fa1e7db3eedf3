"""Why an alert is not notified at a moment, and until when: inhibited, outside of its route's times, silenced, or its
incident is snoozed."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

from alerts.incidents.models import Incident, Silence
from alerts.incidents.policy import Policy
from alerts.models import Alert, State
from alerts.routing.inhibition import Inhibitor
from alerts.routing.matchers import Matcher, Matchers, all_match
from alerts.routing.tree import Route

MINUTE = dt.timedelta(minutes=1)


@dataclass(frozen=True)
class Mute:
    """A reason, and when it must be looked at again (None: at the group's next interval)."""

    reason: str
    until: dt.datetime | None


def matchers_of(silence: Silence) -> Matchers:
    """The silence's matchers."""
    return tuple(Matcher(*entry) for entry in silence.matchers)


class Muting:
    """What mutes alerts at `now`. Reads the silences once, and the firing alerts only where there are inhibition
    rules."""

    def __init__(self, policy: Policy, now: dt.datetime) -> None:
        self.policy = policy
        self.now = now

    @cached_property
    def silences(self) -> list[tuple[Silence, Matchers]]:
        """Those that are active, the last to end first."""
        active = Silence.objects.filter(starts_at__lte=self.now, ends_at__gt=self.now).order_by("-ends_at", "id")
        return [(silence, matchers_of(silence)) for silence in active]

    @cached_property
    def inhibitor(self) -> Inhibitor:
        """Of all alerts that fire, also silenced ones."""
        configuration = self.policy.configuration
        rules = configuration.inhibit_rules if configuration else ()
        live = Alert.objects.filter(state=State.FIRING, rule__shadow=False)
        firing = live.values_list("fingerprint", "labels") if rules else ()
        return Inhibitor(rules, firing)

    def of(self, alert: Alert, incident: Incident, route: Route) -> Mute | None:
        """In Alertmanager's order: inhibited, then the route's times, then silences. None: nothing mutes it."""
        if incident.is_snoozed(self.now):
            return Mute(f"snoozed until {clock(incident.snoozed_until)}", incident.snoozed_until)
        if source := self.inhibitor.inhibited_by(alert.labels):
            return Mute(f"inhibited by the firing alert {source}", None)
        if reason := self.policy.muted_by_time(route, self.now):
            return Mute(f"muted {reason}", self.now.replace(second=0, microsecond=0) + MINUTE)
        for silence, matchers in self.silences:
            if all_match(matchers, alert.labels):
                reason = f"silenced by {silence.created_by} until {clock(silence.ends_at)}: {silence.comment}"
                return Mute(reason, silence.ends_at)
        return None


def clock(at: dt.datetime | None) -> str:
    """A time for people, in UTC."""
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC" if at else "later"
