"""The columns of a CSV or NDJSON file of calls."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from promql.values import Floats


class FileError(ValueError):
    """The file cannot be replayed; the message gives the reason, and where."""


@dataclass(frozen=True)
class Table:
    """A file read: a list of texts per column, one per row, empty where the row has none. `digest` is of the whole
    file."""

    columns: dict[str, list[str]]
    rows: int
    digest: str

    def column(self, name: str) -> list[str]:
        """A column. Raises FileError where the file has no such one."""
        if name not in self.columns:
            raise FileError(f"there is no column {name!r}; the file has {', '.join(self.columns)}")
        return self.columns[name]

    def numbers(self, name: str) -> Floats:
        """A column of numbers; NaN where the row has none. Raises FileError."""
        texts = self.column(name)
        try:
            return np.array([text or "nan" for text in texts], dtype=np.float64)
        except ValueError:
            row = next(row for row, text in enumerate(texts) if not _is_number(text))
            raise FileError(f"column {name!r}, row {row + 1}: {texts[row]!r} is not a number") from None

    def times(self, name: str) -> Floats:
        """A column of times as epoch seconds: numbers, or ISO 8601 (UTC where no offset is given). Raises FileError."""
        seconds = np.empty(self.rows)
        for row, text in enumerate(self.column(name)):
            try:
                seconds[row] = _epoch(text)
            except ValueError:
                raise FileError(f"column {name!r}, row {row + 1}: {text!r} is not a time") from None
        return seconds


def read_table(path: Path) -> Table:
    """The columns of a file: NDJSON where it begins with `{`, else CSV with a header. Raises FileError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None
    try:
        columns = _ndjson(data) if data.lstrip()[:1] == b"{" else _csv(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise FileError(f"{path} is not UTF-8") from None
    rows = len(next(iter(columns.values()), []))
    if not rows:
        raise FileError(f"{path} has no rows")
    return Table(columns, rows, hashlib.sha256(data).hexdigest())


def _csv(text: str) -> dict[str, list[str]]:
    lines = csv.reader(io.StringIO(text))
    names = next(lines, [])
    rows = [row for row in lines if row]
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise FileError(f"row {number} has {len(row)} fields, the header {len(names)}")
    return {name.strip(): [row[place].strip() for row in rows] for place, name in enumerate(names)}


def _ndjson(data: bytes) -> dict[str, list[str]]:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(filter(bytes.strip, data.splitlines()), 1):
        try:
            rows.append(msgspec.json.decode(line, type=dict[str, Any]))
        except msgspec.MsgspecError as error:
            raise FileError(f"line {number} is not a JSON object: {error}") from None
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: ["" if row.get(name) is None else str(row[name]) for row in rows] for name in names}


def _epoch(text: str) -> float:
    if text and _is_number(text):
        return float(text)
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True
