"""Who acts, by which way and from where: known to every write without being handed through all calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

from core.audit.models import AuditLine


@dataclass(frozen=True)
class Origin:
    """Where a change comes from. `actor_id` is the user's, None for a key or the portal itself."""

    via: str
    actor: str = "portal"
    actor_id: int | None = None
    address: str | None = None


_current: ContextVar[Callable[[], Origin]] = ContextVar("origin", default=lambda: Origin(AuditLine.Via.COMMAND))


def current() -> Origin:
    """The origin of what runs now."""
    return _current.get()()


@contextmanager
def acting(via: str, actor: str = "portal", actor_id: int | None = None) -> Iterator[None]:
    """What runs inside comes from there: a task, a command, an applied file."""
    origin = Origin(via, actor, actor_id)
    token = _current.set(lambda: origin)
    try:
        yield
    finally:
        _current.reset(token)


def set_actor(request: HttpRequest, name: str) -> None:
    """The request is made by a key, not by a signed-in person."""
    request.audit_actor = name  # type: ignore[attr-defined]  # read by `of_request`


def of_request(request: HttpRequest) -> Origin:
    """The origin of what a request changes."""
    via = AuditLine.Via.PAGE
    if request.path.startswith("/api/"):
        via = AuditLine.Via.API
    elif request.path.startswith("/admin/"):
        via = AuditLine.Via.ADMIN
    name = getattr(request, "audit_actor", "")
    user = getattr(request, "user", None)
    if not name and isinstance(user, User):
        return Origin(via, user.get_username(), user.pk, address_of(request))
    return Origin(via, name or "nobody", None, address_of(request))


def address_of(request: HttpRequest) -> str | None:
    """The client's address; behind a trusted proxy the last one that it added to X-Forwarded-For. None where there is
    none."""
    found = request.META.get("REMOTE_ADDR", "")
    if settings.PORTAL.trusted_proxy:
        found = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or found
    try:
        return str(ip_address(found))
    except ValueError:
        return None


class OriginMiddleware:
    """Says for the time of a request that changes come from it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = _current.set(lambda: of_request(request))
        try:
            return self.get_response(request)
        finally:
            _current.reset(token)
