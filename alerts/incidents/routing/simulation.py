"""How many messages a routing would have made of the alerts of the past, nearly: the groups and times, without sending.

Silences, inhibition, acknowledgements, escalation and digests are left aside, for the routing in force and an edited
one alike: what differs is what the edit does.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from alerts.incidents.policy import Place, Policy
from alerts.models import Alert
from alerts.queries import LIVE, seen_by
from alerts.routing.tree import Route

WEEK = dt.timedelta(days=7)
MAX_ALERTS, MAX_FLUSHES = 20_000, 300_000
UNIX_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
MINUTE = 60_000_000
NEVER = 2**62
OWN_CHANNELS = "each rule's own channels"


@dataclass
class Simulation:
    """Messages by receiver. `is_cut`: there were more alerts, or more repeats, than were looked at."""

    alerts: int = 0
    messages: Counter[str] = field(default_factory=Counter)
    flushes: int = 0
    is_cut: bool = False

    @property
    def total(self) -> int:
        """To all receivers."""
        return self.messages.total()


@dataclass(frozen=True)
class Comparison:
    """Two routings over the same alerts: in all, and by receiver where they differ."""

    before: Simulation
    after: Simulation

    @property
    def rows(self) -> list[tuple[str, int, int]]:
        """Receiver, messages before and after; those that change first, the largest change first."""
        names = {*self.before.messages, *self.after.messages}
        rows = [(name, self.before.messages[name], self.after.messages[name]) for name in names]
        return sorted(rows, key=lambda row: (-abs(row[2] - row[1]), row[0]))


def past_alerts(workspaces: Collection[str] | None, now: dt.datetime) -> list[Alert]:
    """What fired in the last week, as far as a reader of these workspaces (None: all) may see it; the newest
    MAX_ALERTS."""
    fired = Alert.objects.filter(seen_by(workspaces), LIVE, fired_at__gt=now - WEEK, fired_at__lte=now)
    wanted = fired.select_related("rule").prefetch_related("rule__channels").order_by("-fired_at", "-id")
    return list(wanted[:MAX_ALERTS])


def compare(before: Policy, after: Policy, workspaces: Collection[str] | None, now: dt.datetime) -> Comparison:
    """The messages of the last week under both."""
    alerts = past_alerts(workspaces, now)
    return Comparison(simulate(before, alerts, now), simulate(after, alerts, now))


def simulate(policy: Policy, alerts: Sequence[Alert], now: dt.datetime) -> Simulation:
    """The messages that the alerts make under the routing until now. Reads alert.rule.channels."""
    found = Simulation(len(alerts), is_cut=len(alerts) >= MAX_ALERTS)
    places: dict[str, Place] = {}
    groups: defaultdict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        for place in policy.places(alert):
            places[place.digest] = place
            groups[place.digest].append(alert)
    for digest, members in groups.items():
        place = places[digest]
        channels = Counter(one.send_resolved for one in policy.receivers(place.open(now), members[0].rule))
        muted = _muting(policy, place.route)
        for send_resolved, count in channels.items():
            sent = _messages(_events(members, now), place.route, muted, _microseconds(now), send_resolved, found)
            found.messages[place.receiver or OWN_CHANNELS] += sent * count
    return found


def _events(alerts: Iterable[Alert], now: dt.datetime) -> list[tuple[int, bool, str]]:
    """When each begins and ends, in order; of one time the ends first. Times are whole microseconds since 1970."""
    events = []
    for alert in alerts:
        if alert.fired_at is not None:
            events.append((_microseconds(alert.fired_at), True, alert.fingerprint))
            if alert.ended_at is not None and alert.ended_at <= now:
                events.append((_microseconds(alert.ended_at), False, alert.fingerprint))
    return sorted(events)


def _muting(policy: Policy, route: Route) -> Callable[[int], bool]:
    """Whether the route's times keep it quiet at a time."""
    configuration = policy.configuration
    if configuration is None or not (route.mute or route.active):
        return lambda _: False
    return lambda at: configuration.muted_by_time(route, dt.datetime.fromtimestamp(at / 1e6, dt.UTC)) is not None


def _messages(
    events: Sequence[tuple[int, bool, str]],
    route: Route,
    muted: Callable[[int], bool],
    until: int,
    send_resolved: bool,
    found: Simulation,
) -> int:
    """How many messages one channel gets of a group: Alertmanager's deduplication at the group's flushes."""
    wait, interval = route.group_wait // MICROSECOND, route.group_interval // MICROSECOND
    repeat = route.repeat_interval // MICROSECOND if route.repeat_interval is not None else NEVER
    firing: set[str] = set()
    known: set[str] = set()
    muted_firing: set[str] = set()
    sent, place, last, again = 0, 0, NEVER, NEVER
    anchor: int | None = None
    while found.flushes < MAX_FLUSHES:
        found.flushes += 1
        event = events[place][0] if place < len(events) else NEVER
        if anchor is None:
            at = event + wait
        else:
            due = min(event, last + repeat if firing else NEVER)
            # What mutes is looked at every minute.
            at = min(anchor - (anchor - due) // interval * interval if interval else due, again)
        if at > until:
            return sent
        anchor = at if anchor is None else anchor
        while place < len(events) and events[place][0] <= at:
            (firing.add if events[place][1] else firing.discard)(events[place][2])
            place += 1
        if muted(at):
            muted_firing |= firing
            again, last = at - at % MINUTE + MINUTE, NEVER
            continue
        is_back = bool(firing & muted_firing)
        again, muted_firing = NEVER, set()
        is_over = bool(known - firing) and send_resolved
        if firing - known or is_over or is_back or (firing and last + repeat <= at):
            sent, last = sent + 1, at
        known = set(firing)
        if not firing:
            anchor, last = None, NEVER
    found.is_cut = True
    return sent


def _microseconds(at: dt.datetime) -> int:
    return (at - UNIX_EPOCH) // MICROSECOND
