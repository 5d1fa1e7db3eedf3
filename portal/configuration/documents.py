"""Files of configuration: read, checked for what cannot be meant, and written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from alerts.models import Channel
from portal.configuration.kinds import BY_NAME, KINDS, Kind, shown
from portal.configuration.secrets import by_environment

MAX_BYTES = 10_000_000


class FileError(ValueError):
    """A file that cannot be applied; names file, entry and field."""


@dataclass(frozen=True)
class Entry:
    """One object of a file."""

    kind: Kind
    fields: dict[str, Any]
    file: str

    def __str__(self) -> str:
        return f"{self.kind.name} {self.kind.name_of(self.fields)}"


def read(paths: Iterable[Path]) -> list[Entry]:
    """All entries of the files and folders (their *.yaml and *.yml), in the order of the kinds. Raises FileError."""
    entries: list[Entry] = []
    for path in paths:
        inside = sorted(one for one in path.rglob("*") if one.suffix in (".yaml", ".yml")) if path.is_dir() else [path]
        for file in inside:
            entries += _read_one(file)
    seen: dict[tuple[str, str], str] = {}
    for entry in entries:
        place = (entry.kind.name, str(entry))
        if place in seen:
            raise FileError(f"{entry.file}: {entry} is in {seen[place]} too")
        seen[place] = entry.file
    return sorted(entries, key=lambda entry: KINDS.index(entry.kind))


def _read_one(path: Path) -> list[Entry]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileError(f"{path}: has more than {MAX_BYTES} bytes")
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise FileError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document or {}, dict):
        raise FileError(f"{path}: expected lists under {', '.join(BY_NAME)}")
    entries = []
    for name, listed in (document or {}).items():
        if name not in BY_NAME:
            raise FileError(f"{path}: {name}: no such kind; there are {', '.join(BY_NAME)}")
        if not isinstance(listed, list):
            raise FileError(f"{path}: {name}: expected a list")
        entries += [_entry(BY_NAME[name], one, number, path) for number, one in enumerate(listed, 1)]
    return entries


def _entry(kind: Kind, given: Any, number: int, path: Path) -> Entry:
    where = f"{path}: {kind.name}, entry {number}"
    if not isinstance(given, dict):
        raise FileError(f"{where}: expected a mapping")
    if unknown := {str(name) for name in given} - set(kind.fields):
        raise FileError(f"{where}: no such field: {', '.join(sorted(unknown))}")
    if missing := [name for name in kind.keys if name != "workspace" and given.get(name) in (None, "")]:
        raise FileError(f"{where}: {', '.join(missing)} is missing")
    fields = {str(name): value.isoformat() if isinstance(value, date) else value for name, value in given.items()}
    return Entry(kind, {"workspace": None, **fields} if "workspace" in kind.keys else fields, str(path))


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def written() -> str:
    """All that is set up, as one file. Channels name the variables that are to hold their secrets."""
    document: dict[str, list[dict[str, Any]]] = {}
    for kind in KINDS:
        entries = []
        for instance in kind.rows().order_by("pk"):
            entry = {name: value for name, value in shown(kind, instance).items() if name != "workspace" or value}
            if isinstance(instance, Channel):
                entry["config"] = by_environment(instance)
            entries.append(entry)
        if entries:
            document[kind.name] = entries
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
