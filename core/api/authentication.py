"""Whose request it is, for all of the REST API: an API key, or a session with its CSRF token."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from core.accounts import keys
from core.accounts.holder import KeyHolder
from core.accounts.models import ApiKey
from core.api.errors import Away
from core.audit.origin import set_actor


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <key>`, or basic authentication with the key as password. Counts the request against the
    key's rate."""

    def authenticate(self, request: Request) -> tuple[KeyHolder, keys.Caller] | None:
        """The key's holder; None without a key, so that the session is looked at."""
        header = request.headers.get("Authorization", "")
        if not header:
            return None
        try:
            caller, retry_after = keys.authenticate(keys.as_bearer(header), timezone.now())
            key = ApiKey.objects.select_related("workspace", "created_by").get(pk=caller.key_id)
        except keys.Refused as refused:
            raise AuthenticationFailed(str(refused)) from refused
        except (DatabaseError, ApiKey.DoesNotExist) as away:
            raise Away from away
        if retry_after:
            raise Throttled(retry_after, "more requests than this key may send per minute")
        holder = KeyHolder(key)
        set_actor(request._request, holder.get_username())
        return holder, caller

    def authenticate_header(self, request: Request) -> str:
        """A 401 asks for a key."""
        return "Bearer"


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema calls it."""

    target_class = KeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """A bearer token."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "llmu_…"}
