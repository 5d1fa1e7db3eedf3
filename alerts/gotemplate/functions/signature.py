"""What a template function takes, and how it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TYPES = {"string": "string", "sample": "*template.sample", "samples": "template.queryResult"}
"""Go's names of the parameters' types that are checked; `any` and `value` take everything."""


class CallError(Exception):
    """A function refused its arguments; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Function:
    """`rest` is the type of any further arguments; `stateful` ones get the execution first."""

    run: Callable[..., Any] | None
    parameters: tuple[str, ...]
    rest: str | None = None
    stateful: bool = False
