"""People who asked for mail about their alerts: a channel of their own, which the incidents of these alerts are sent to
as to any other."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.contrib.auth.models import User

from alerts.models import Channel
from core.accounts.models import DEMO, Workspace


@dataclass(frozen=True)
class Follower:
    """A channel of somebody who follows alerts; `sees` are the workspaces whose alerts they may see, None: all."""

    channel: Channel
    sees: frozenset[str | None] | None


def followers(channels: Collection[Channel]) -> list[Follower]:
    """Those of active accounts."""
    if not channels:
        return []
    wanted = User.objects.filter(pk__in=[channel.person_id for channel in channels], is_active=True)
    people = wanted.prefetch_related("memberships__workspace").in_bulk()
    everything = set(Workspace.objects.exclude(slug=DEMO).values_list("slug", flat=True))
    return [
        Follower(channel, _sees(people[channel.person_id], everything))
        for channel in channels
        if channel.person_id in people
    ]


def _sees(person: User, everything: Collection[str]) -> frozenset[str | None] | None:
    own = {membership.workspace.slug for membership in person.memberships.all()}
    return None if person.is_superuser or set(everything) <= own else frozenset(own)
