"""What a caller may do: a key as its scopes allow, a person as the roles allow. What is not seen is answered 404 by the
querysets."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from core.accounts import permissions
from core.accounts.confirmation import is_confirmed
from core.accounts.holder import KeyHolder
from core.accounts.ownership import changer_of


class MayAccess(BasePermission):
    """Reading needs a login or a key with the view's `read_scope`; changing an operator, or a key with its
    `write_scope`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """False: nobody in particular, which is answered 401."""
        person = request.user
        if not person.is_authenticated:
            return False
        reads = request.method in SAFE_METHODS or getattr(view, "action", "") in view.reading_actions
        if isinstance(person, KeyHolder):
            scopes = view.read_scopes if reads else view.write_scopes
            if scopes.isdisjoint(person.key.scopes):
                raise PermissionDenied(f"this API key lacks the scope {' or '.join(sorted(map(repr, scopes)))}")
        who = view.readers if reads else view.writers
        if who == "admins" and not permissions.administers(person):
            raise PermissionDenied("This needs an admin of a workspace, or an administrator of the portal.")
        sends = who == "reporters" and isinstance(person, KeyHolder) and "ingest" in person.key.scopes
        if who in ("operators", "reporters") and not sends and not permissions.may_operate(person):
            raise PermissionDenied("This needs an operator of a workspace.")
        if who == "platform":
            changer_of(person).require(None)
        if not reads and view.is_confirmed_first and not isinstance(person, KeyHolder):
            require_confirmation(request)
        return True


def require_confirmation(request: Request) -> None:
    """Raises PermissionDenied where a session has not been confirmed within the last minutes, as pages ask it to be."""
    if not is_confirmed(request._request):
        raise PermissionDenied(
            "This needs a session that was confirmed within the last 15 minutes: open /account/confirm/ in the browser,"
            " then send it again."
        )
