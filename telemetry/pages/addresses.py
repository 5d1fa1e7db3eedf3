"""Addresses of the same page with something changed: everything that one chooses stands in the URL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.http import QueryDict


def address(params: QueryDict, path: str = "", **changes: str | Sequence[str] | None) -> str:
    """`path` with the parameters of `params`, less those that are changed to None or nothing."""
    found = params.copy()
    for name, value in changes.items():
        found.setlist(name, [value] if isinstance(value, str) else [*(value or ())])
        if not found.getlist(name):
            del found[name]
    return f"{path}?{found.urlencode()}"


def kept(params: Mapping[str, str]) -> QueryDict:
    """What holds from page to page: time and workspace."""
    found = QueryDict(mutable=True)
    for name in ("range", "from", "to", "workspace"):
        if params.get(name):
            found[name] = params[name]
    return found


def own_fields(params: QueryDict, *names: str) -> list[tuple[str, str]]:
    """Parameters as hidden fields of a form."""
    return [(name, value) for name in names for value in params.getlist(name)]
