"""OpenID providers as the setting PORTAL_OIDC_PROVIDERS has them, and what their groups mean here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

ROLES = ("viewer", "operator", "admin")


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One provider. `roles` maps a group to roles, such as `production:operator`, or `portal` for administrators of the
    whole portal."""

    id: str
    name: str
    url: str
    client_id: str
    client_secret: str = ""
    groups_claim: str = "groups"
    roles: dict[str, list[str]] = {}

    def app(self) -> dict[str, Any]:
        """As allauth takes it."""
        return {
            "provider_id": self.id,
            "name": self.name,
            "client_id": self.client_id,
            "secret": self.client_secret,
            "settings": {"server_url": self.url, "oauth_pkce_enabled": True},
        }


def parse_providers(text: str) -> list[Provider]:
    """The setting's JSON. ValueError says what is wrong."""
    if not text:
        return []
    try:
        found = msgspec.json.decode(text, type=list[Provider])
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
    for provider in found:
        for role in (role for roles in provider.roles.values() for role in roles):
            slug, _, name = role.rpartition(":")
            if role != "portal" and not (slug and name in ROLES):
                raise ValueError(f"{role!r} is neither `portal` nor of the form workspace:{'|'.join(ROLES)}")
    if len({provider.id for provider in found}) != len(found):
        raise ValueError("two providers have the same id")
    return found


def roles_of(provider: Provider, groups: Iterable[str]) -> tuple[bool, dict[str, str]]:
    """Whether the groups make an administrator of the portal, and the highest role of each workspace, by slug."""
    granted = {role for group in groups for role in provider.roles.get(group, [])}
    best: dict[str, str] = {}
    for role in granted - {"portal"}:
        slug, _, name = role.rpartition(":")
        best[slug] = max(best.get(slug, name), name, key=ROLES.index)
    return "portal" in granted, best
