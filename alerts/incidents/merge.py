"""Incidents that turn out to be one: one of them goes on with the alerts of both, and with what comes of both groups
later, until it is over. That can be undone while it is open.

What was merged is closed and keeps its page; its alerts are copied. Both are locked, in the order in which all lock
incidents (`alerts.incidents.collect`), so a flip comes to one of them, and one notifies of it.
"""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from alerts.incidents.actions import ActionError
from alerts.incidents.collect import groups_of, save_groups
from alerts.incidents.flush import Entry, Group, endings, flush
from alerts.incidents.models import Incident, IncidentEvent, Member
from alerts.incidents.muting import Muting
from alerts.incidents.policy import Policy, current_policy
from alerts.models import Channel, Delivery, Escalation, State, author_fields
from alerts.notify.wake import wake_channels
from alerts.oncall.escalate import resume
from alerts.rules.models import gravity
from core.accounts.holder import Actor
from core.audit.record import record

Kind = IncidentEvent.Kind


def merge(source: Incident, target: Incident, *, by: Actor, now: dt.datetime) -> bool:
    """Let `target` go on with the alerts of `source`. Who was notified of either hears that, and of both from now
    on. False when one of them is over."""
    if source.pk == target.pk:
        raise ActionError("An incident cannot be merged into itself.")
    with transaction.atomic():
        locked = _locked(source.pk, target.pk)
        if len(locked) < 2 or any(one.closed_at is not None for one in locked.values()):
            return False
        policy = current_policy()
        gone, into = groups_of([locked[source.pk], locked[target.pk]], policy)
        name = by.get_username()
        said = f"Merged into incident #{target.pk} by {name}: that one goes on with what still fires."
        ends = endings(gone, Delivery.Why.MERGED, said, now) if gone.members else []
        # An Alertmanager has no incidents: its alerts go on.
        ends = [one for one in ends if one.channel is not None and one.channel.kind != Channel.Kind.ALERTMANAGER]
        _keep(ends, gone.incident)
        _close(gone.incident, now, merged_into=into.incident)
        Incident.objects.filter(merged_into=gone.incident).update(merged_into=into.incident)
        _move_alerts(gone, into)
        _take_over(gone.incident, into.incident)
        _notify(into, f"Incident #{source.pk} was merged into this one by {name}.", policy, now)
        _note(Kind.MERGED, gone.incident, f"into #{target.pk}", by, now)
        _note(Kind.MERGED, into.incident, f"#{source.pk} into this one", by, now)
    return True


def separate(source: Incident, *, by: Actor, now: dt.datetime) -> bool:
    """Undo that: `source` goes on with what is left of its alerts. False when it is merged into none, or that one is
    over."""
    with transaction.atomic():
        target_id = Incident.objects.filter(pk=source.pk).values_list("merged_into", flat=True).first()
        locked = _locked(source.pk, target_id or 0)
        back, other = locked.get(source.pk), locked.get(target_id or 0)
        if back is None or other is None or back.merged_into_id != other.pk or other.closed_at is not None:
            return False
        policy, name = current_policy(), by.get_username()
        (into,) = groups_of([other], policy)
        theirs = [member for member in into.members.values() if member.merged_from_id == back.pk]
        if len(theirs) == len(into.members):
            said = f"All that it had left is of incident #{back.pk} again, by {name}."
            _keep(endings(into, Delivery.Why.MERGED, said, now) if theirs else [], other)
            _close(other, now)
        back.merged_into, back.closed_at = None, None
        back.save(update_fields=["merged_into", "closed_at"])
        _give_back(back, theirs)
        _stop_escalations(other, policy)
        (group,) = groups_of([back], policy)
        if group.members:
            _notify(group, f"Separated from incident #{other.pk} by {name}.", policy, now)
            if back.acknowledged_at is None:
                resume(back, now)
        else:
            _close(back, now)
        _note(Kind.SEPARATED, back, f"from #{other.pk}", by, now)
        _note(Kind.SEPARATED, other, f"#{back.pk} from this one", by, now)
    return True


def _locked(*ids: int) -> dict[int, Incident]:
    """The incidents by their ids, locked in that order."""
    rows = Incident.objects.select_for_update(of=("self",)).filter(pk__in=ids).order_by("pk")
    return {incident.pk: incident for incident in rows}


def _move_alerts(gone: Group, into: Group) -> None:
    """Make the alerts members of the other incident, with what channels know of them."""
    present = set(Member.objects.filter(incident=into.incident, alert__in=gone.members).values_list("alert", flat=True))
    for alert_id, member in gone.members.items():
        if alert_id not in present:
            copy = into.add(member.alert, member.merged_from_id or gone.incident.pk)
            copy.notified, copy.muted_by, copy.muted_since = member.notified, member.muted_by, member.muted_since
    Member.objects.filter(incident=gone.incident, done=False).update(done=True)
    for channel_id, entry in gone.entries.items():
        known = into.entries.get(channel_id)
        firing, since = (known.firing, known.at) if known else (frozenset[int](), entry.at)
        into.entries[channel_id] = Entry(firing | entry.firing, min(since, entry.at))
    into.merged.append(gone.incident)


def _take_over(gone: Incident, into: Incident) -> None:
    """Its owner and severity, where the other has none or a milder one; its escalations, as far as they have come."""
    into.owner_id = into.owner_id or gone.owner_id
    if gone.raised_to and (not into.raised_to or gravity(gone.raised_to) < gravity(into.raised_to)):
        into.raised_to = gone.raised_to
    into.save(update_fields=["owner", "raised_to"])
    copies = list(Escalation.objects.filter(incident=gone))
    for one in copies:
        one.pk, one.incident = None, into
    Escalation.objects.bulk_create(copies, ignore_conflicts=True)


def _notify(group: Group, said: str, policy: Policy, now: dt.datetime) -> None:
    """Notify at once where anybody was notified before; else when the group would be."""
    incident, deliveries = group.incident, []
    if group.entries:
        group.said, incident.news_at = said, now
        deliveries = flush(group, {}, Muting(policy, now))
    else:
        due = incident.opened_at + group.route.group_wait
        incident.news_at = min(incident.news_at or due, due)
        incident.flush_at = min(incident.flush_at or due, due)
    save_groups([group], deliveries, [], now)


def _give_back(back: Incident, theirs: list[Member]) -> None:
    """Make these members of the other incident, and what still fires, members of their own again."""
    own = {member.alert_id: member for member in Member.objects.filter(incident=back).select_related("alert")}
    Member.objects.filter(incident=back, merged_from=None, alert__state=State.FIRING).update(done=False)
    for member in theirs:
        found = own.get(member.alert_id) or Member(incident=back, alert_id=member.alert_id)
        found.done, found.notified = False, member.notified
        found.muted_by, found.muted_since = member.muted_by, member.muted_since
        found.save()
    Member.objects.filter(pk__in=[member.pk for member in theirs]).delete()


def _stop_escalations(incident: Incident, policy: Policy) -> None:
    """End those that the incident went through for another's sake."""
    (group,) = groups_of([incident], policy)
    if group.members:
        theirs = Escalation.objects.filter(incident=incident, policy__isnull=False)
        theirs.exclude(policy__in=group.escalations).delete()


def _close(incident: Incident, now: dt.datetime, merged_into: Incident | None = None) -> None:
    incident.closed_at, incident.merged_into = now, merged_into
    incident.flush_at = incident.news_at = None
    incident.save(update_fields=["closed_at", "merged_into", "flush_at", "news_at", "notifications"])


def _keep(ends: list[Delivery], incident: Incident) -> None:
    """Have the messages sent."""
    Delivery.objects.bulk_create(ends)
    incident.notifications += bool(ends)
    channels = sorted({delivery.channel_id for delivery in ends if delivery.channel_id is not None})
    transaction.on_commit(lambda: wake_channels(channels), robust=True)


def _note(kind: IncidentEvent.Kind, incident: Incident, text: str, by: Actor, now: dt.datetime) -> None:
    IncidentEvent.objects.create(incident=incident, kind=kind, at=now, text=text, **author_fields(by))
    record(str(kind), incident, after={"text": text}, by=by)
