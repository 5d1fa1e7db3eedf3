"""Signed links in messages: whoever got the message can acknowledge or snooze its
incident, for a week, without logging in.

Opening one changes nothing: scanners of mail and chat open every link. The page asks, and only its POST acts.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.conf import settings
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner

from alerts.incidents.models import Incident
from alerts.models import Channel
from core.accounts.holder import Actor, LinkHolder

LASTS = dt.timedelta(days=7)
SIGNER = TimestampSigner(salt="incident link")


class LinkExpired(Exception):
    """The link was good, and is too old."""


@dataclass(frozen=True)
class Link:
    """What a token stands for: an incident, or the one that it was merged into, and the channel that the message went
    to."""

    incident: Incident
    channel: Channel

    @property
    def actor(self) -> Actor:
        """Who acts by it: the person whose own channel it is, else somebody who reads the channel."""
        return self.channel.person or LinkHolder(f"link in {self.channel.name}")


def token_of(incident_id: int, channel_id: int) -> str:
    """What a link to the incident ends in."""
    return SIGNER.sign(f"{incident_id}-{channel_id}")


def address_of(token: str) -> str:
    """The whole link."""
    return f"{settings.PORTAL.public_url}/act/{token}/"


def read_token(token: str) -> Link | None:
    """What the token stands for; None where it is not ours, its incident or channel is gone, or the channel's person
    may sign in no more. Raises LinkExpired."""
    try:
        incident_id, _, channel_id = SIGNER.unsign(token, max_age=LASTS).partition("-")
    except SignatureExpired:
        raise LinkExpired from None
    except BadSignature:
        return None
    incident = Incident.objects.select_related("merged_into").filter(pk=int(incident_id)).first()
    channel = Channel.every.select_related("person").filter(pk=int(channel_id)).first()
    if incident is None or channel is None or (channel.person is not None and not channel.person.is_active):
        return None
    return Link(incident.merged_into or incident, channel)
