"""Writes of people: roles, members, activity. Each leaves its line in the audit log."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet

from core.accounts import permissions
from core.accounts.holder import Actor
from core.accounts.models import ApiKey, Membership, Workspace
from core.accounts.permissions import Person
from core.audit.record import record, record_change

log = logging.getLogger(__name__)


class PeopleError(ValueError):
    """A change that is refused; the message says why."""


def listed(user: Person) -> QuerySet[User]:
    """The people whom an administrator sees: all, or the members of their workspaces."""
    found = User.objects.prefetch_related("memberships__workspace").order_by("username")
    if permissions.administers_portal(user):
        return found
    members = Membership.objects.filter(workspace__in=permissions.administered(user))
    return found.filter(pk__in=members.values("user"))


def set_role(user: User, workspace: Workspace, role: str | None, *, by: Actor | None = None) -> None:
    """Give the person a role in the workspace, or (None) take their membership away."""
    with transaction.atomic():
        old = Membership.objects.select_for_update().filter(user=user, workspace=workspace).first()
        before = old.role if old else None
        if before == role:
            return
        if role is None:
            Membership.objects.filter(user=user, workspace=workspace).delete()
        else:
            Membership.objects.update_or_create(user=user, workspace=workspace, defaults={"role": role})
        changed = {"before": {"role": before}, "after": {"role": role}}
        record("changed the role of", user, workspace=workspace.slug, by=by, **changed)


def set_roles(user: User, is_admin: bool, roles: Mapping[str, str], *, by: Actor | None = None) -> None:
    """Make the person's roles those that their groups give them, by slug; a workspace that there is not is left out.
    The last administrator stays one, whatever the groups say, or nobody could mend them."""
    with transaction.atomic():
        try:
            set_admin(user, is_admin, by=by)
        except PeopleError as refused:
            log.warning("%s stays an administrator of the portal: %s", user.get_username(), refused)
        had = Membership.objects.filter(user=user).select_related("workspace")
        workspaces = {one.workspace for one in had} | {*Workspace.objects.filter(slug__in=roles)}
        for workspace in sorted(workspaces, key=lambda one: one.slug):
            set_role(user, workspace, roles.get(workspace.slug), by=by)


def set_admin(user: User, is_admin: bool, *, by: Actor | None = None) -> None:
    """Make the person an administrator of the whole portal, or end that. PeopleError where none would be left."""
    if user.is_superuser == is_admin:
        return
    with transaction.atomic():
        if not is_admin:
            _keep_one(user)
        User.objects.filter(pk=user.pk).update(is_superuser=is_admin, is_staff=is_admin)
        record_change(user, {"administrator": not is_admin}, {"administrator": is_admin}, by=by)
    user.is_superuser = user.is_staff = is_admin


def set_active(user: User, is_active: bool, *, by: Actor | None = None) -> None:
    """Let the person sign in, or not any more; their sessions end at their next request. PeopleError for the last
    administrator."""
    with transaction.atomic():
        if not is_active:
            _keep_one(user)
        if User.objects.filter(pk=user.pk, is_active=not is_active).update(is_active=is_active):
            record("activated" if is_active else "deactivated", user, by=by)


def successors(user: User) -> QuerySet[User]:
    """Who may take over what the person has: members of their workspaces, and administrators of the portal."""
    colleagues = Membership.objects.filter(workspace__memberships__user=user).values("user")
    found = User.objects.filter(Q(is_superuser=True) | Q(pk__in=colleagues), is_active=True)
    return found.exclude(pk=user.pk).order_by("username")


def hand_over(user: User, to: User, *, by: Actor | None = None) -> None:
    """Give another person what somebody who leaves has: their workspaces and roles, and the keys that they made."""
    if not successors(user).filter(pk=to.pk).exists():
        raise PeopleError("Choose somebody else: a member of their workspaces, or an administrator of the portal.")
    ranks = ("viewer", "operator", "admin")
    with transaction.atomic():
        had = dict(Membership.objects.filter(user=to).values_list("workspace_id", "role"))
        for one in Membership.objects.filter(user=user).select_related("workspace").order_by("workspace_id"):
            if ranks.index(had.get(one.workspace_id, "viewer")) < ranks.index(one.role) or one.workspace_id not in had:
                set_role(to, one.workspace, one.role, by=by)
        keys = ApiKey.objects.filter(created_by=user).update(created_by=to)
        record("handed over", user, after={"to": to.get_username(), "keys": keys}, by=by)


def _keep_one(user: User) -> None:
    """Raises PeopleError where the person is the only administrator who can sign in."""
    admins = User.objects.select_for_update().filter(is_superuser=True, is_active=True)
    if user.pk in {admin.pk for admin in admins} and len(admins) == 1:
        raise PeopleError("This is the only administrator; make another one first.")
