"""10 notify, whether: what a group of alerts has to say to each channel at a moment, as
deliveries. Alertmanager's deduplication.

Source: prometheus/alertmanager `notify` (DedupStage.needsUpdate). What is different on purpose: an alert
that still fires when what muted it ends is notified at once, and what ended while it was muted is
notified then, to those who knew that it fired.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from alerts.incidents.models import Incident, Member
from alerts.incidents.muting import Muting
from alerts.incidents.policy import Policy
from alerts.models import Alert, Channel, Delivery, Flip, Rule, State
from alerts.routing.tree import Route

FOLLOWING: dict[str, str] = {
    Channel.Follows.MINE: "You asked for mail about alerts that you own or are on call for.",
    Channel.Follows.WORKSPACES: "You asked for mail about the alerts of your workspaces.",
}
LIVE = (Delivery.State.PENDING, Delivery.State.SENDING, Delivery.State.SENT)


@dataclass
class Entry:
    """What a channel was notified last of an incident: the alerts that fire, by id, and when."""

    firing: frozenset[int]
    at: dt.datetime


@dataclass
class Group:
    """An incident in memory, locked by this transaction, with its members by alert and what each channel was notified
    last. `merged` are the incidents that were merged into it; `said` is why it is notified anew, after a merge.

    `fires`: its last flush had something to notify of that fires; `followers` are the channels of people who follow it,
    as of its last flush.
    """

    incident: Incident
    policy: Policy
    members: dict[int, Member]
    entries: dict[int, Entry]
    merged: list[Incident] = field(default_factory=list)
    said: str = ""
    route: Route = field(init=False)
    fires: bool = False
    followers: list[Channel] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.route = self.policy.route(self.incident)

    @property
    def channels(self) -> list[Channel]:
        """Those that its receiver has now, and of people who follow it."""
        return [*self.receivers, *self.followers]

    @cached_property
    def receivers(self) -> list[Channel]:
        """Those that its receiver has now, and those of what was merged into it. Without a tree they are those of its
        rule, so there must be a member."""
        found = self.policy.receivers(self.incident, self._rule_of(self.incident))
        others = [self.policy.receivers(one, self._rule_of(one)) for one in self.merged]
        return list({channel.pk: channel for channels in (found, *others) for channel in channels}.values())

    @cached_property
    def escalations(self) -> list[int]:
        """The escalation policies that it goes through, by id."""
        all_of_it = (self.incident, *self.merged)
        found = [pk for one in all_of_it for pk in self.policy.escalations(one, self._rule_of(one))]
        return list(dict.fromkeys(found))

    @property
    def known(self) -> list[Channel]:
        """Its channels, and others that were notified of it."""
        others = [self.policy.channels.get(channel_id) for channel_id in self.entries]
        return [
            *self.channels,
            *(channel for channel in others if channel is not None and channel not in self.channels),
        ]

    def _rule_of(self, incident: Incident) -> Rule:
        """The rule of any alert of the incident, or of one that was merged into it."""
        if self.merged:
            own = Member.objects.filter(incident=incident, merged_from=None).select_related("alert__rule")
            if (first := own.order_by("id").first()) is not None:
                return first.alert.rule
        return next(iter(self.members.values())).alert.rule

    def add(self, alert: Alert, merged_from: int | None = None) -> Member:
        """Make the alert a member; it is of the group of `merged_from`, by id, if any."""
        member = Member(incident=self.incident, alert=alert, merged_from_id=merged_from)
        self.members[alert.pk] = member
        return member

    def known_firing(self, channel: Channel) -> frozenset[str] | None:
        """The label sets that the channel believes to fire, less those whose end is settled;
        None before it was notified anything."""
        entry = self.entries.get(channel.pk)
        if entry is None:
            return None
        members = [self.members[alert_id] for alert_id in entry.firing if alert_id in self.members]
        return frozenset(member.alert.fingerprint for member in members if not member.done)

    def next_interval(self, at: dt.datetime) -> dt.datetime:
        """The first of its group intervals that is not before `at`; before its first flush that is `at` itself."""
        anchor, interval = self.incident.anchor, self.route.group_interval
        if anchor is None or not interval:
            return at
        passed = max(1, -((anchor - at) // interval))
        return anchor + passed * interval


@dataclass
class Content:
    """The members that a message could tell of, by fingerprint. `unmuted` fire again in the open after they were muted;
    `owed` have ended, and somebody knows that they fired; `back` are those of both that were muted until now."""

    firing: dict[str, Alert] = field(default_factory=dict)
    resolved: dict[str, Alert] = field(default_factory=dict)
    unmuted: set[str] = field(default_factory=set)
    owed: set[str] = field(default_factory=set)
    back: set[str] = field(default_factory=set)


def flush(group: Group, states: dict[int, State], muting: Muting) -> list[Delivery]:
    """The deliveries that the incident needs now; moves it on to its next flush.
    `states` overrides what members' alerts say.

    Members that are over and need no telling become `done`; the incident closes when none is left.
    """
    now, incident = muting.now, group.incident
    group.followers = group.policy.followers(incident, [one.alert for one in group.members.values()], now)
    content, again = _look(group, states, muting)
    if not (content.back or (incident.news_at is not None and incident.news_at <= now)):
        # Not its time yet: it was only looked at for what is muted.
        incident.flush_at = min([*again, *filter(None, [incident.news_at])], default=None)
        return []
    deliveries = [found for channel in group.known if (found := _deliver(group, channel, content, now))]
    group.fires = bool(content.firing)
    if deliveries:
        incident.notifications += 1
    incident.anchor = incident.anchor or now
    _settle(group, states, content, notified=set(content.firing) if deliveries else set())
    if all(member.done for member in group.members.values()):
        incident.closed_at, incident.flush_at, incident.news_at = now, None, None
        return deliveries
    incident.news_at = _repeats_at(group, now) if content.firing else None
    incident.flush_at = min([*again, *filter(None, [incident.news_at])], default=None)
    return deliveries


def _look(group: Group, states: dict[int, State], muting: Muting) -> tuple[Content, list[dt.datetime]]:
    """Sort the members into what is notified and what is muted; and the times at which that may change by itself."""
    content, again = Content(), []
    after = muting.now + dt.timedelta(microseconds=1)
    # The newest episode of a label set is the one that counts.
    newest = {member.alert.fingerprint: member for _, member in sorted(group.members.items()) if not member.done}
    for fingerprint, member in newest.items():
        alert = member.alert
        resolved = _state(alert, states) == State.RESOLVED
        mute = muting.of(alert, group.incident, group.route)
        if mute is not None:
            again.append(mute.until or group.next_interval(after))
            if not member.muted_by:
                member.muted_since = muting.now
            member.muted_by = mute.reason
            continue
        if member.muted_by and not resolved:
            content.unmuted.add(fingerprint)
        if resolved and member.notified:
            content.owed.add(fingerprint)
        if member.muted_by and (member.notified or not resolved):
            content.back.add(fingerprint)
        member.muted_by, member.muted_since = "", None
        (content.resolved if resolved else content.firing)[fingerprint] = alert
    return content, again


def _deliver(group: Group, channel: Channel, content: Content, now: dt.datetime) -> Delivery | None:
    """What to tell the channel now, if anything."""
    known = group.known_firing(channel)
    firing, resolved = dict(content.firing), dict(content.resolved) if channel.send_resolved else {}
    if channel not in group.channels:
        # It does not belong to the receiver any more: it only hears the end of what it knows.
        firing = {key: alert for key, alert in firing.items() if key in (known or ())}
        resolved = {key: alert for key, alert in resolved.items() if key in (known or ())}
    why = _why(group, channel, known, content, set(firing), set(resolved), now)
    if why is None:
        return None
    group.entries[channel.pk] = Entry(frozenset(alert.pk for alert in firing.values()), now)
    return Delivery(
        incident=group.incident,
        number=group.incident.notifications + 1,
        firing=[alert.pk for alert in firing.values()],
        resolved=[alert.pk for alert in resolved.values()],
        why=why,
        note=group.said or FOLLOWING.get(channel.follows, ""),
        alert=_lead(known or frozenset(), firing, resolved),
        channel=channel,
        channel_name=channel.listed_name,
        created_at=now,
        next_attempt_at=now,
    )


def _why(
    group: Group,
    channel: Channel,
    known: frozenset[str] | None,
    content: Content,
    firing: set[str],
    resolved: set[str],
    now: dt.datetime,
) -> Delivery.Why | None:
    """The reason to tell the channel; None where there is none."""
    if known is None:
        return Delivery.Why.FIRST if firing else None
    if group.merged and group.said and firing and channel in group.channels:
        return Delivery.Why.MERGED
    if firing - known:
        return Delivery.Why.FIRING
    if not firing:
        return Delivery.Why.RESOLVED if resolved and (known or resolved & content.owed) else None
    if resolved:
        return Delivery.Why.RESOLVED
    if group.incident.acknowledged_at is not None or channel not in group.channels:
        return None
    if firing & content.unmuted:
        return Delivery.Why.UNMUTED
    repeat = group.route.repeat_interval
    return Delivery.Why.REPEAT if repeat is not None and group.entries[channel.pk].at + repeat <= now else None


def _lead(known: frozenset[str], firing: dict[str, Alert], resolved: dict[str, Alert]) -> Alert:
    """The alert that a message is about first: what newly fires, else what has ended, else the first that fires."""
    fresh = [alert for key, alert in firing.items() if key not in known]
    return (fresh or list(resolved.values()) or list(firing.values()))[0]


def _settle(group: Group, states: dict[int, State], content: Content, notified: set[str]) -> None:
    """Remember who was notified of, and end the membership of what is over: notified, or nobody knew of it."""
    newest = {member.alert.fingerprint: member for _, member in sorted(group.members.items())}
    for member in group.members.values():
        member.notified = member.notified or member.alert.fingerprint in notified
    for fingerprint, member in newest.items():
        state = _state(member.alert, states)
        over = state == State.RESOLVED and (fingerprint in content.resolved or not member.notified)
        member.done = member.done or over or state == State.INACTIVE
    for member in group.members.values():
        # An earlier episode stands for what was notified of the label set until the newest one is over.
        member.done = member.done or newest[member.alert.fingerprint].done


def _repeats_at(group: Group, now: dt.datetime) -> dt.datetime | None:
    """When the next repeat is due: at a group interval."""
    repeat = group.route.repeat_interval
    times = [group.entries[channel.pk].at for channel in group.channels if channel.pk in group.entries]
    if repeat is None or group.incident.acknowledged_at is not None or not times:
        return None
    return group.next_interval(max(min(times) + repeat, now + dt.timedelta(microseconds=1)))


def _state(alert: Alert, states: dict[int, State]) -> State:
    return states.get(alert.pk) or State(alert.state)


def endings(group: Group, why: Delivery.Why, said: str, now: dt.datetime) -> list[Delivery]:
    """A message to every channel that believes that something fires: the incident is over, as is `said`."""
    found = []
    for channel in group.known:
        if not channel.send_resolved or not group.known_firing(channel):
            continue
        ids = [pk for pk in sorted(group.entries[channel.pk].firing) if pk in group.members]
        found.append(
            Delivery(
                incident=group.incident,
                number=group.incident.notifications + 1,
                firing=[],
                resolved=ids,
                why=why,
                note=said[:2000],
                alert=group.members[ids[0]].alert,
                flip=Flip.objects.filter(alert=ids[0]).latest("id"),
                channel=channel,
                channel_name=channel.listed_name,
                created_at=now,
                next_attempt_at=now,
            )
        )
    return found


def read_entries(incidents: Iterable[Incident]) -> dict[int, dict[int, Entry]]:
    """What each channel was notified last of each incident, by their ids. What failed for good was not notified."""
    newest = (
        Delivery.objects.filter(
            incident__in=[incident.pk for incident in incidents], channel__isnull=False, state__in=LIVE
        )
        .order_by("incident_id", "channel_id", "-id")
        .distinct("incident_id", "channel_id")
    )
    found: dict[int, dict[int, Entry]] = {}
    for incident_id, channel_id, firing, at in newest.values_list("incident_id", "channel_id", "firing", "created_at"):
        found.setdefault(incident_id or 0, {})[channel_id or 0] = Entry(frozenset(firing), at)
    return found


def set_flips(deliveries: list[Delivery], fresh: Iterable[Flip] = ()) -> None:
    """Give each delivery the flip of its leading alert that it tells of: of `fresh`
    ones, else the newest in the table."""
    known: dict[tuple[int, str], Flip] = {(flip.alert_id, flip.to_state): flip for flip in fresh}
    missing = [delivery.alert_id for delivery in deliveries if (delivery.alert_id, delivery.lead_state) not in known]
    if missing:
        for flip in Flip.objects.filter(alert__in=missing).order_by("-id"):
            known.setdefault((flip.alert_id, flip.to_state), flip)
    for delivery in deliveries:
        delivery.flip = known[(delivery.alert_id, delivery.lead_state)]
