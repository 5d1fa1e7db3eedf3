"""The sidebar: one declaration of the pages, in the order in which they are shown. A
page without an address is left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject

from alerts import queries
from core.accounts import permissions
from core.accounts.permissions import Person
from core.accounts.preferences import preferences_of


@dataclass(frozen=True)
class Entry:
    """A page: its name in the sidebar, the name of its URL, the letter that goes there after
    `g`, and whether viewers may not see it."""

    label: str
    url_name: str
    key: str
    for_operators: bool = False
    for_admins: bool = False
    url: str = ""
    is_current: bool = False


@dataclass(frozen=True)
class Group:
    """Pages under one heading."""

    heading: str
    entries: tuple[Entry, ...]


PAGES: tuple[Group, ...] = (
    Group("", (Entry("Overview", "overview", "o"),)),
    Group(
        "Boards",
        (
            Entry("Coverage", "coverage", "c"),
            Entry("Providers", "providers", "p"),
            Entry("Tools", "tools", "m"),
            Entry("Cost and budgets", "cost", "b"),
        ),
    ),
    Group(
        "Alerts",
        (
            Entry("Incidents", "incidents", "w"),
            Entry("Alerts", "alerts", "a"),
            Entry("Rules", "rules", "r"),
            Entry("Notifications", "notifications", "f"),
            Entry("On call", "on-call", "j"),
            Entry("Channels", "channels", "h"),
            Entry("Runbooks", "runbooks", "n"),
        ),
    ),
    Group(
        "Look closer",
        (Entry("Traces", "traces", "x"), Entry("Logs", "logs", "l"), Entry("Explore", "explore", "e")),
    ),
    Group(
        "Data",
        (
            Entry("Send data", "send-data", "d"),
            Entry("Ingestion", "ingestion", "i"),
            Entry("Keys", "keys", "k"),
            Entry("Prices", "prices", "$"),
            Entry("People", "people", "y", for_admins=True),
            Entry("Audit log", "audit", "u", for_operators=True),
            Entry("Settings", "settings", "s", for_operators=True),
        ),
    ),
)
# What a reader has chosen for one page holds for the next one too.
KEPT = ("range", "from", "to", "workspace")


def sidebar(request: HttpRequest) -> dict[str, object]:
    """Context processor: `navigation`, the groups with their addresses, `kept`, the range and workspace of
    the URL, `firing_count`, `preferences`."""
    kept = urlencode({name: request.GET[name] for name in KEPT if request.GET.get(name)})
    user = getattr(request, "user", None)
    groups = []
    for group in _allowed(user):
        entries = tuple(found for entry in group.entries if (found := _addressed(entry, request.path, kept)))
        if entries:
            groups.append(Group(group.heading, entries))
    return {
        "navigation": groups,
        "kept": kept,
        "firing_count": _firing(request),
        "preferences": SimpleLazyObject(lambda: preferences_of(user)),
    }


def reachable(request: HttpRequest) -> list[Entry]:
    """The pages that the person may see."""
    return [entry for group in _allowed(request.user) for entry in group.entries]


def _allowed(user: Person | None) -> list[Group]:
    may_operate = user is not None and permissions.may_operate(user)
    administers = may_operate and user is not None and permissions.administers(user)
    return [
        replace(
            group,
            entries=tuple(
                entry
                for entry in group.entries
                if (may_operate or not entry.for_operators) and (administers or not entry.for_admins)
            ),
        )
        for group in PAGES
    ]


def _firing(request: HttpRequest) -> int:
    """Alerts that fire, for the badge beside Alerts; error pages have no user."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return 0
    return queries.counts(permissions.scope_of(user, {}).slugs).firing


def _addressed(entry: Entry, path: str, kept: str) -> Entry | None:
    try:
        url = reverse(entry.url_name)
    except NoReverseMatch:
        return None
    is_current = path == url if url == "/" else path.startswith(url)
    return replace(entry, url=f"{url}?{kept}" if kept else url, is_current=is_current)
