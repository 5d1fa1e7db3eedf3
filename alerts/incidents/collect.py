"""9 to 10: flips into incidents, in the transaction that writes the flips, and incidents
into deliveries once they are due.

A flip cannot be without its place in an incident. Incidents are locked in the order of their ids, by who writes flips
and by who flushes; what is due at once is flushed in the same transaction.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import QuerySet, Value, prefetch_related_objects
from django.db.models.functions import Coalesce, Least

from alerts.incidents.flush import Group, flush, read_entries, set_flips
from alerts.incidents.lost_slots import waiting_for_rules
from alerts.incidents.models import Incident, Member
from alerts.incidents.muting import Muting
from alerts.incidents.policy import Place, Policy, current_policy
from alerts.models import Alert, Delivery, Flip, Rule, State
from alerts.notify.wake import wake_channels
from alerts.oncall.escalate import start_escalations
from alerts.routing.matchers import Matchers, all_match

logger = logging.getLogger(__name__)
BATCH = 1000
UPDATE_MEMBERS = """
UPDATE alerts_member AS member
SET notified = new.notified, done = new.done, muted_by = new.muted_by, muted_since = new.muted_since
FROM unnest(%s::bigint[], %s::boolean[], %s::boolean[], %s::text[], %s::timestamptz[])
    AS new (id, notified, done, muted_by, muted_since)
WHERE member.id = new.id
  AND (member.notified, member.done, member.muted_by, member.muted_since)
      IS DISTINCT FROM (new.notified, new.done, new.muted_by, new.muted_since)
"""


@dataclass(frozen=True)
class Home:
    """The open incident, by id, of the alerts of a group; `merged_from` is the group's own one, where that was merged
    into it."""

    incident: int
    merged_from: int | None


def collect(flips: Sequence[Flip], now: dt.datetime) -> None:
    """Bring flips, already saved, into their incidents; flush what is due. After the
    commit, wake the channels concerned."""
    news = sorted((flip for flip in flips if _is_news(flip)), key=lambda flip: flip.at)
    if not any(flip.to_state == State.FIRING or flip.alert.fired_at is not None for flip in news):
        return
    policy = current_policy()
    places = {flip.alert_id: policy.places(flip.alert) for flip in news if flip.to_state == State.FIRING}
    wanted = {place.digest: place for found in places.values() for place in found}
    over = [flip.alert_id for flip in news if flip.to_state != State.FIRING]
    incidents, homes = _lock_incidents(wanted, over, now)
    groups = groups_of(incidents, policy, [flip.alert for flip in news])
    _fetch_rules(groups, [flip.alert for flip in news])
    by_id = {group.incident.pk: group for group in groups}
    holding: defaultdict[int, list[Group]] = defaultdict(list)  # by alert: thousands may end at once
    for group in groups:
        for alert_id in group.members:
            holding[alert_id].append(group)
    muting = Muting(policy, now)
    states: dict[int, State] = {flip.alert_id: State.FIRING for flip in news}
    deliveries = []
    for _, at_once in groupby(news, key=lambda flip: flip.at):
        touched: dict[int, Group] = {}
        for flip in at_once:
            states[flip.alert_id] = State(flip.to_state)
            concerned = holding[flip.alert_id]
            if flip.to_state == State.FIRING:
                here = {home.incident: home for place in places[flip.alert_id] for home in [homes[place.digest]]}
                concerned = [by_id[pk] for pk in here]
                for group in concerned:
                    if flip.alert_id not in group.members:
                        group.add(flip.alert, here[group.incident.pk].merged_from)
                        holding[flip.alert_id].append(group)
            for group in concerned:
                _note(group, flip, now)
                touched[group.incident.pk] = group
        for group in touched.values():
            if group.incident.flush_at is not None and group.incident.flush_at <= now:
                deliveries += flush(group, states, muting)
    save_groups(groups, deliveries, news, now)


def _fetch_rules(groups: Sequence[Group], joining: Sequence[Alert] = ()) -> None:
    """Read at once the rules that the policy asks of, those of alerts that may join the groups too, and their channels
    where there is no routing tree."""
    members = {group.incident.pk: next(iter(group.members.values())) for group in groups if group.members}
    missing = [member.alert for member in members.values() if not Alert.rule.is_cached(member.alert)]
    rules = Rule.objects.in_bulk({alert.rule_id for alert in missing}) if missing else {}
    for alert in missing:
        alert.rule = rules[alert.rule_id]
    without_tree = [group for group in groups if not group.incident.receiver]
    asked = [members[group.incident.pk].alert for group in without_tree if group.members]
    asked += joining if without_tree else ()
    prefetch_related_objects([alert.rule for alert in asked], "channels")


def _is_news(flip: Flip) -> bool:
    """Whether somebody may have to hear of it: not of what is pending, nor of what fires in a shadow."""
    return flip.to_state != State.PENDING and not (flip.to_state == State.FIRING and flip.alert.rule.shadow)


def to_flush(now: dt.datetime) -> QuerySet[Incident]:
    """The incidents whose time has come."""
    return Incident.objects.filter(closed_at=None, flush_at__lte=now)


def flush_due(now: dt.datetime) -> int:
    """Flush the incidents whose time has come, many in one transaction; how many. One that fails holds up no other."""
    due = to_flush(now).order_by("flush_at", "id")
    found = dict(due.values_list("pk", "flush_at")[:BATCH])
    waiting = waiting_for_rules(found, now)
    wanted = [incident_id for incident_id in found if incident_id not in waiting]
    try:
        return flush_incidents(wanted, now)
    except Exception as error:
        if isinstance(error, (OperationalError, InterfaceError)):
            raise  # Postgres is away: none of them could be written
        logger.exception("incidents are flushed one by one")
    return sum(_flush_alone(incident_id, now) for incident_id in wanted)


def _flush_alone(incident_id: int, now: dt.datetime) -> int:
    try:
        return flush_incidents([incident_id], now)
    except Exception as error:
        if isinstance(error, (OperationalError, InterfaceError)):
            raise
        logger.exception("incident %s could not be flushed", incident_id)
        return 0


def flush_incidents(incident_ids: Sequence[int], now: dt.datetime) -> int:
    """Flush those that are still due and that nobody else is at; how many."""
    if not incident_ids:
        return 0
    with transaction.atomic():
        due = Incident.objects.select_for_update(skip_locked=True).filter(
            pk__in=incident_ids, closed_at=None, flush_at__lte=now
        )
        incidents = list(due.order_by("pk"))
        if incidents:
            policy = current_policy()
            groups = groups_of(incidents, policy)
            _fetch_rules(groups)
            muting = Muting(policy, now)
            deliveries = [delivery for group in groups for delivery in flush(group, {}, muting)]
            save_groups(groups, deliveries, [], now)
    return len(incidents)


def look_again(now: dt.datetime) -> None:
    """Have every incident with a muted alert looked at now: a silence has ended, or the routing has changed."""
    _look_at(Member.objects.filter(done=False).exclude(muted_by="").values_list("incident_id", flat=True), now)


def look_for(matchers: Matchers, at: dt.datetime) -> None:
    """Have every incident with an alert that the matchers hit looked at then: a silence begins."""
    rows = Member.objects.filter(done=False, incident__closed_at=None).values_list("incident_id", "alert__labels")
    _look_at({incident_id for incident_id, labels in rows.iterator() if all_match(matchers, labels)}, at)


def _look_at(incident_ids: Iterable[int], at: dt.datetime) -> None:
    with transaction.atomic():
        # In the order in which all lock incidents.
        found = Incident.objects.select_for_update().filter(pk__in=set(incident_ids), closed_at=None).order_by("pk")
        ids = list(found.values_list("pk", flat=True))
        earlier = Least(Coalesce("flush_at", Value(at)), Value(at))
        Incident.objects.filter(pk__in=ids).update(flush_at=earlier)


def _note(group: Group, flip: Flip, now: dt.datetime) -> None:
    """Plan the flush that a change asks for: after group_wait for a new incident, at its
    next interval for one that was flushed."""
    incident, route = group.incident, group.route
    if incident.anchor is not None:
        due = group.next_interval(now)
    else:
        started = flip.alert.fired_at or flip.at
        late = started + route.group_wait <= now
        due = now if late else incident.opened_at + route.group_wait
    incident.news_at = min(due, incident.news_at or due)
    incident.flush_at = min(due, incident.flush_at or due)


def _lock_incidents(
    wanted: dict[str, Place], over: list[int], now: dt.datetime
) -> tuple[list[Incident], dict[str, Home]]:
    """The open incidents of the places (new where there is none) and of the alerts that
    are over, locked, in the order of ids; and which is of which place, by its digest."""
    of_ended = Member.objects.filter(alert__in=over, done=False, incident__closed_at=None)
    ids = set(of_ended.values_list("incident_id", flat=True)) if over else set()
    while True:
        homes = _homes(wanted)
        missing = [place.open(now) for digest, place in sorted(wanted.items()) if digest not in homes]
        if missing:
            # Another transaction may open the same one: then ours waits for it, and finds its row in the next round.
            Incident.objects.bulk_create(missing, ignore_conflicts=True)
            homes = _homes(wanted)
        chosen = {home.incident for home in homes.values()}
        locked = list(Incident.objects.select_for_update().filter(pk__in=ids | chosen, closed_at=None).order_by("pk"))
        # One that was closed before we had its lock makes room for a new one; what was separated has its own again.
        is_known = homes.keys() == wanted.keys() and chosen <= {incident.pk for incident in locked}
        if is_known and (all(home.merged_from is None for home in homes.values()) or _homes(wanted) == homes):
            return locked, homes


def _homes(digests: Collection[str]) -> dict[str, Home]:
    """The open incidents of these groups, by digest; of one that was merged, while that is open, the other one."""
    own = Incident.objects.filter(digest__in=digests, closed_at=None)
    found = {digest: Home(pk, None) for digest, pk in own.values_list("digest", "pk")}
    if rest := [digest for digest in digests if digest not in found]:
        merged = Incident.objects.filter(digest__in=rest, merged_into__isnull=False, merged_into__closed_at=None)
        for digest, target, pk in merged.values_list("digest", "merged_into", "pk"):
            found[digest] = Home(target or 0, pk)
    return found


def groups_of(incidents: Sequence[Incident], policy: Policy, alerts: Iterable[Alert] = ()) -> list[Group]:
    """The incidents with their members, channels and what was notified; `alerts` are
    those in memory that members stand for."""
    in_memory = {alert.pk: alert for alert in alerts}
    members: dict[int, dict[int, Member]] = {incident.pk: {} for incident in incidents}
    found = Member.objects.filter(incident__in=[incident.pk for incident in incidents], done=False)
    for member in found.select_related("alert"):
        member.alert = in_memory.get(member.alert_id, member.alert)
        members[member.incident_id][member.alert_id] = member
    entries = read_entries(incidents)
    merged: dict[int | None, list[Incident]] = {}
    for one in Incident.objects.filter(merged_into__in=list(members)).order_by("pk"):
        merged.setdefault(one.merged_into_id, []).append(one)
    return [
        Group(incident, policy, members[incident.pk], entries.get(incident.pk, {}), merged.get(incident.pk, []))
        for incident in incidents
    ]


def _update_members(members: Sequence[Member]) -> None:
    """Write what may have changed; rows that did not are left alone."""
    if not members:
        return
    columns = (
        [member.pk for member in members],
        [member.notified for member in members],
        [member.done for member in members],
        [member.muted_by for member in members],
        [member.muted_since for member in members],
    )
    with connection.cursor() as cursor:
        cursor.execute(UPDATE_MEMBERS, columns)


def save_groups(groups: Sequence[Group], deliveries: list[Delivery], news: Sequence[Flip], now: dt.datetime) -> None:
    """Write incidents, members and deliveries; begin escalations; wake the channels after the commit. Of a transaction
    that holds the incidents' locks."""
    Incident.objects.bulk_update(
        [group.incident for group in groups], ["anchor", "flush_at", "news_at", "closed_at", "notifications"]
    )
    members = [member for group in groups for member in group.members.values()]
    _update_members([member for member in members if member.pk is not None])
    Member.objects.bulk_create([member for member in members if member.pk is None])
    start_escalations(groups, now)
    set_flips(deliveries, news)
    Delivery.objects.bulk_create(deliveries)
    channels = sorted({delivery.channel_id for delivery in deliveries if delivery.channel_id is not None})
    if channels:
        # When the queue is away, the sweeper finds the deliveries later: the evaluation must not fail for that.
        transaction.on_commit(lambda: wake_channels(channels), robust=True)
