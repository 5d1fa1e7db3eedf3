"""The forms of bodies that the spool may hold: records, and what other apps register (OpenTelemetry's signals).

A body is spooled as it came, so each form brings the function that stores it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from usage.ingest.spool import Header
from usage.store.missing import Events
from usage.store.writer import Stored


@dataclass(frozen=True)
class Form:
    """A form of bodies: how one is stored (raises what storing raises), its parts for a person to look at, and the
    usage events that are missing while it is not stored (raises what reading it raises)."""

    name: str
    store: Callable[[Header, bytes], Stored]
    parts: Callable[[bytes], Sequence[bytes]]
    events: Callable[[Header, bytes], Events]


_forms: dict[str, Form] = {}


def register(form: Form) -> None:
    """Let the spool hold bodies of a form; when the app starts."""
    _forms[form.name] = form


def of(name: str) -> Form:
    """The form of this name. Raises LookupError for one that no installed app knows."""
    try:
        return _forms[name]
    except KeyError:
        raise LookupError(f"no app knows bodies of the form {name!r}") from None
