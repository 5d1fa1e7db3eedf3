"""docs/settings.md, made from the fields of `portal.env.Config`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_type_hints

from portal.env import Config, env_name

INTRODUCTION = """# Settings

<!-- Made by `make docs` from the classes of portal/env; edit those. -->

The portal is configured by environment variables only; none is needed to start. `manage.py up` also takes `--host`,
`--port`, `--data` and `--only`, which stand for `PORTAL_HOST`, `PORTAL_PORT`, `PORTAL_DATA_DIR` and `PORTAL_ROLES` and
win over them.

For each setting `NAME_FILE` may be set instead of `NAME`: the value is then read from the file that it names, for
secrets that are mounted. Secrets are marked with *secret* and are shown nowhere.

A name that begins with `PORTAL_` and is not on this page, a value that does not parse or is out of its bounds, or
settings that contradict each other stop the start with a line that names them.
"""

FORMS = {
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
    Path | None: "path",
    tuple[str, ...]: "list, comma-separated",
    str: "text",
}


def settings_page() -> str:
    """The whole page, in Markdown: a section and a table for each group of settings."""
    fields = dataclasses.fields(Config)
    hints = get_type_hints(Config)
    parts = [INTRODUCTION]
    for section in dict.fromkeys(f.metadata["section"] for f in fields):
        parts.append(f"\n## {section}\n\n| name | value | default | meaning |\n| --- | --- | --- | --- |\n")
        for f in fields:
            if f.metadata["section"] == section:
                cells = [f"`{env_name(f)}`", _form(f, hints[f.name]), _default(f.default), _meaning(f)]
                parts.append(f"| {' | '.join(cells)} |\n")
    return "".join(parts)


def _form(f: dataclasses.Field[Any], kind: Any) -> str:
    """What a value looks like: its type, unit and bounds."""
    meta = f.metadata
    parts = [meta["unit"] or FORMS[kind]]
    if meta["low"] is not None and meta["high"] is not None:
        parts.append(f"{meta['low']:,} to {meta['high']:,}")
    elif meta["low"] is not None:
        parts.append(f"at least {meta['low']:,}")
    elif meta["high"] is not None:
        parts.append(f"at most {meta['high']:,}")
    if meta["secret"]:
        parts.append("*secret*")
    return ", ".join(parts)


def _default(value: Any) -> str:
    if value is None or value == "" or value == ():
        return "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _meaning(f: dataclasses.Field[Any]) -> str:
    return str(f.metadata["doc"]).replace("|", "\\|")
