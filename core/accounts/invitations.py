"""Invitations: a link that makes somebody a member of a workspace, once, within a week. Only its SHA-256 is stored."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from core.accounts.holder import Actor, user_of
from core.accounts.models import Invitation, Workspace
from core.accounts.people import PeopleError, set_role
from core.audit.record import record

LASTS = timedelta(days=7)


def invite(workspace: Workspace, role: str, email: str, *, by: Actor, now: datetime) -> tuple[Invitation, str]:
    """A new invitation and the secret of its link, which is not kept."""
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        made = Invitation.objects.create(
            workspace=workspace,
            role=role,
            email=email,
            digest=digest_of(token),
            invited_by=user_of(by),
            created_at=now,
            expires_at=now + LASTS,
        )
        record("created", made, after={"email": email, "role": role}, by=by)
    return made, token


def digest_of(token: str) -> str:
    """What is stored of a link."""
    return hashlib.sha256(token.encode()).hexdigest()


def open_invitations(now: datetime) -> QuerySet[Invitation]:
    """Those that can still be accepted."""
    found = Invitation.objects.filter(accepted_at=None, expires_at__gt=now)
    return found.select_related("workspace", "invited_by").order_by("-created_at")


def find(token: str, now: datetime) -> Invitation | None:
    """The open invitation of a link."""
    return open_invitations(now).filter(digest=digest_of(token)).first()


def accept(invitation: Invitation, user: User, now: datetime) -> None:
    """Make the person a member; a role that they have already is not lowered. PeopleError where the link was used
    meanwhile."""
    with transaction.atomic():
        if not open_invitations(now).filter(pk=invitation.pk).update(accepted_at=now, accepted_by=user):
            raise PeopleError("This invitation was used already.")
        record("accepted", invitation, by=user)
        had = user.memberships.filter(workspace=invitation.workspace).values_list("role", flat=True).first()
        ranks = ("viewer", "operator", "admin")
        if had is None or ranks.index(had) < ranks.index(invitation.role):
            set_role(user, invitation.workspace, invitation.role, by=user)


def withdraw(invitation: Invitation, *, by: Actor) -> None:
    """Take it back: the link opens nothing any more."""
    with transaction.atomic():
        record("withdrew", invitation, before={"email": invitation.email, "role": invitation.role}, by=by)
        invitation.delete()
