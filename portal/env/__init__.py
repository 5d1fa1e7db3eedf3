"""Every setting of the portal, read strictly from the environment, in one place.

A field of `Config` is a setting: its type says how the text is parsed, its metadata says what it means (`fields`). A
section of settings is a class, declared in the module of its part: places, web, records, telemetry, alerts, prometheus.
The settings page and docs/settings.md are made from these fields. An unknown `PORTAL_…` name, a value that does not
parse or is out of its bounds stops the start with one line that names it (`load`). For each setting `NAME_FILE` is read
instead of `NAME` (for secrets that are mounted).
"""

from __future__ import annotations

from portal.env.config import Config
from portal.env.fields import env_name
from portal.env.load import ConfigError, load

__all__ = ["Config", "ConfigError", "env_name", "load"]
