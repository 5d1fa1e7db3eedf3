"""A channel's configuration in a file: texts, or names of variables of the environment that hold them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from alerts.models import Channel
from alerts.notify.encryption import SecretLost, decrypt
from alerts.notify.transports import TRANSPORTS
from alerts.notify.transports.contract import ConfigInvalid


class SecretMissing(ValueError):
    """A variable that a file names is not set."""


def resolved(config: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The configuration with its variables filled in. Raises SecretMissing."""
    found = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            variable = str(value.get("env", ""))
            if set(value) != {"env"} or not variable:
                raise SecretMissing(f"config.{name}: must be a text, or `env:` with the name of a variable")
            if variable not in environ:
                raise SecretMissing(f"config.{name}: the variable {variable} is not set")
            value = environ[variable]
        found[name] = value
    return found


def is_same(channel: Channel, config: Mapping[str, Any]) -> bool:
    """Whether the channel has this configuration already."""
    try:
        return TRANSPORTS[channel.kind].parse_config(dict(config)) == decrypt(channel.config_encrypted)
    except (ConfigInvalid, SecretLost):
        return False


def by_environment(channel: Channel) -> dict[str, dict[str, str]]:
    """The channel's configuration, each field by the variable that is to hold it."""
    owner = f"{channel.workspace.slug}_" if channel.workspace else ""
    stem = re.sub(r"[^A-Z0-9]+", "_", f"{owner}{channel.name}".upper()).strip("_")
    try:
        names = sorted(name for name, value in decrypt(channel.config_encrypted).items() if value not in ("", None))
    except SecretLost:
        names = [field.name for field in TRANSPORTS[channel.kind].FIELDS if field.required]
    return {name: {"env": f"CHANNEL_{stem}_{name.upper()}"} for name in names}
