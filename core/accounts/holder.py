"""Who acts: a person, an API key in the place of one, a command, or who has a signed link."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import User

from core.accounts.models import ApiKey


@dataclass(frozen=True)
class KeyHolder:
    """An API key where a person may stand too. It acts in its workspace (None: in all) as its scopes allow."""

    key: ApiKey
    pk: None = None
    is_authenticated: bool = True
    is_anonymous: bool = False
    is_active: bool = True
    is_staff: bool = False
    is_superuser: bool = False

    def get_username(self) -> str:
        """How histories call it."""
        return f"API key {self.key.name}"


@dataclass(frozen=True)
class Console:
    """Whoever runs a command of the portal's machine: that person may do everything there anyway."""

    name: str
    pk: None = None
    is_authenticated: bool = True
    is_anonymous: bool = False
    is_active: bool = True
    is_staff: bool = False
    is_superuser: bool = True

    def get_username(self) -> str:
        """How histories call it."""
        return self.name


@dataclass(frozen=True)
class LinkHolder:
    """Whoever has a signed link that came with a message, or pressed its button. It sees and
    may do nothing but what the link is for."""

    name: str
    pk: None = None
    is_authenticated: bool = False
    is_anonymous: bool = True
    is_active: bool = True
    is_staff: bool = False
    is_superuser: bool = False

    def get_username(self) -> str:
        """How histories call it."""
        return self.name


Actor = User | KeyHolder | Console | LinkHolder


def user_of(actor: Actor | None) -> User | None:
    """The account behind an actor: of a key the one that made it, if it is still there."""
    if isinstance(actor, KeyHolder):
        return actor.key.created_by
    return None if isinstance(actor, Console | LinkHolder) else actor
