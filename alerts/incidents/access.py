"""Who may silence what, and sees which silences. The routing tree belongs to the whole portal; a silence may be of one
workspace's alerts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeVar

from django.core.exceptions import PermissionDenied

from alerts.incidents.models import Silence
from alerts.routing.matchers import Matchers
from alerts.silencing.models import RecurringSilence
from core.accounts.models import Workspace
from core.accounts.ownership import Changer

S = TypeVar("S", Silence, RecurringSilence)


def workspace_of(matchers: Matchers) -> str | None:
    """The workspace whose alerts alone they match; None where they may match others."""
    return next((matcher.value for matcher in matchers if (matcher.name, matcher.op) == ("workspace", "=")), None)


def require_silence(changer: Changer, matchers: Matchers) -> None:
    """Raises PermissionDenied unless the person may silence these: an operator of a workspace what names it, others
    everything."""
    slug = workspace_of(matchers)
    owner = Workspace.objects.filter(slug=slug).values_list("pk", flat=True).first() if slug else None
    if not changer.may(owner):
        raise PermissionDenied(
            'A silence may match alerts of every workspace: name yours with workspace="…", or ask an operator of the'
            " whole portal."
        )


def visible_silences(silences: Iterable[S], workspaces: Collection[str] | None) -> list[S]:
    """Those that a reader of these workspaces (None: all) may see: of one of them, or of all alerts."""
    if workspaces is None:
        return list(silences)
    found = []
    for silence in silences:
        named = [value for name, op, value in silence.matchers if (name, op) == ("workspace", "=")]
        if not named or named[0] in workspaces:
            found.append(silence)
    return found
