"""How a setting is declared: a field of a dataclass, whose metadata says what it means and what it may be."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from typing import Any

PREFIX = "PORTAL_"


def setting(
    default: Any,
    doc: str,
    *,
    section: str,
    env: str = "",
    unit: str = "",
    secret: bool = False,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    options: tuple[str, ...] = (),
    schemes: tuple[str, ...] = (),
) -> Any:
    """A field of `Config`. `env` overrides the name (default: PORTAL_ and the field's name in capitals).

    `low` and `high` bound a number, `choices` are the words of a list, `options` the values that a text may have,
    `schemes` what a URL may start with.
    """
    meta = {"doc": doc, "section": section, "env": env, "unit": unit, "secret": secret}
    return field(
        default=default,
        metadata={**meta, "low": low, "high": high, "choices": choices, "options": options, "schemes": schemes},
    )


def env_name(f: dataclasses.Field[Any]) -> str:
    """The environment variable of a field of `Config`."""
    return f.metadata["env"] or PREFIX + f.name.upper()
