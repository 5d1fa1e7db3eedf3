"""Reading the settings from the environment, strictly."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from portal.env.config import Config, contradictions
from portal.env.fields import PREFIX, env_name
from portal.env.places import DEFAULT_DATA_DIR

WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


class ConfigError(Exception):
    """The environment cannot be used; the message names each setting that is wrong, one per line."""


def parse(text: str, kind: Any) -> Any:
    """`text` as a value of the type `kind`; ValueError describes what was expected."""
    if kind is bool:
        if text.lower() not in TRUE | FALSE:
            raise ValueError("expected true or false")
        return text.lower() in TRUE
    if kind is int:
        if not WHOLE_NUMBER.fullmatch(text):
            raise ValueError("expected a whole number")
        return int(text)
    if kind is float:
        try:
            return float(text)
        except ValueError:
            raise ValueError("expected a number") from None
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind in (Path, Path | None):
        return Path(text).expanduser().absolute()
    return text


def check(value: Any, meta: Mapping[str, Any]) -> None:
    """Raise ValueError when `value` is outside what its setting allows."""
    if meta["low"] is not None and not value >= meta["low"]:
        raise ValueError(f"must be at least {meta['low']:g}")
    if meta["high"] is not None and value > meta["high"]:
        raise ValueError(f"must be at most {meta['high']:g}")
    if meta["choices"] and (unknown := [word for word in value if word not in meta["choices"]]):
        raise ValueError(f"no such word: {', '.join(unknown)} (expected {', '.join(meta['choices'])})")
    if meta["options"] and value not in meta["options"]:
        raise ValueError(f"must be {' or '.join(meta['options'])}")
    if meta["schemes"] and value.partition("://")[0] not in meta["schemes"]:
        raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in meta['schemes'])}")


def _text(name: str, environ: Mapping[str, str]) -> str:
    """The setting's text, from the variable or from the file that it names; empty if unset. ValueError if
    unreadable."""
    text, path = environ.get(name, ""), environ.get(f"{name}_FILE", "")
    if not path:
        return text
    if text:
        raise ValueError(f"{name}_FILE is set too; keep one")
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path} ({getattr(error, 'strerror', None) or 'no text'})") from None


def load(environ: Mapping[str, str] = os.environ) -> Config:
    """The settings of `environ`. Raises ConfigError with a line for each thing that is wrong."""
    hints = get_type_hints(Config)
    values: dict[str, Any] = {"data_dir": DEFAULT_DATA_DIR.absolute()}
    wrong: list[str] = []
    fields = {env_name(f): f for f in dataclasses.fields(Config)}
    for name, f in fields.items():
        try:
            if text := _text(name, environ):
                values[f.name] = parse(text, hints[f.name])
                check(values[f.name], f.metadata)
        except ValueError as error:
            wrong.append(f"{name}: {error}")
    known = {*fields, *(f"{name}_FILE" for name in fields)}
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    wrong += [f"{name}: no such setting (see docs/settings.md)" for name in unknown]
    config = Config(**values) if not wrong else Config()
    wrong += contradictions(config)
    if wrong:
        raise ConfigError("\n".join(wrong))
    return config
