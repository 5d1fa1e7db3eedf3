"""The records that a file becomes, in order of time, and when each is sent."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from promql.values import Floats
from usage.samples.replay.draw import LabelValues, durations, failures
from usage.samples.replay.read import FileError, Table

LABELS = ("provider", "model", "component", "team", "operation", "outcome")
TOKENS = ("prompt_tokens", "completion_tokens")
_IDS = uuid.UUID("c0a1f5b8-3a62-4f6b-9f3a-0d0f5f2a7e11")


@dataclass(frozen=True)
class Options:
    """What the person who replays says about the file. `tokens` maps a field of the record to a column, `labels` to its
    values."""

    at: str
    tokens: dict[str, str]
    labels: dict[str, str]
    duration: str = ""
    seed: int = 0
    fail: float = 0.0
    fail_between: tuple[float, float] | None = None


@dataclass(frozen=True)
class Plan:
    """Records without `at`, in order of time, and their times in the file (epoch seconds)."""

    records: list[dict[str, Any]]
    times: Floats

    def ending_at(self, now: float) -> Floats:
        """Times shifted so that the last record is now."""
        shifted: Floats = self.times + (now - self.times[-1])
        return shifted

    def paced(self, start: float, speed: float) -> Floats:
        """Times from `start` on, as far apart as in the file, divided by `speed`."""
        spread: Floats = start + (self.times - self.times[0]) / speed
        return spread

    def batches(self, at: Floats, size: int, span: float) -> Iterator[tuple[float, list[dict[str, Any]]]]:
        """The records with their times, in batches of up to `size` records and `span` seconds, each with when it is
        complete."""
        begin = 0
        while begin < len(self.records):
            end = min(begin + size, int(np.searchsorted(at, at[begin] + span, side="right")))
            batch = [
                {**record, "at": round(float(time), 6)}
                for record, time in zip(self.records[begin:end], at[begin:end], strict=True)
            ]
            yield float(at[end - 1]), batch
            begin = end


def plan(table: Table, options: Options) -> Plan:
    """The records of a file. Raises FileError where the options do not fit it."""
    times = table.times(options.at)
    fields: dict[str, list[Any]] = {
        name: LabelValues(text).values(table, options.seed, name) for name, text in options.labels.items() if text
    }
    fields["duration_seconds"] = _or_none(durations(options.duration, table, options.seed))
    uncounted = failures(options.fail, options.fail_between, times, options.seed)
    if LabelValues(options.labels.get("outcome", "")).drawn:
        # A call that was made to fail here got no answer, so there is nothing to count.
        uncounted = uncounted | (np.array(fields["outcome"]) != "success")
    for name, column in options.tokens.items():
        numbers = table.numbers(column)
        if (numbers < 0).any() or (numbers % 1 > 0).any():
            raise FileError(f"column {column!r}: tokens are whole numbers")
        fields[name] = [
            None if lost or value is None else int(value)
            for value, lost in zip(_or_none(numbers), uncounted, strict=True)
        ]
    order = np.argsort(times, kind="stable")
    return Plan([_record(table, fields, int(row), options.seed) for row in order], times[order])


def _record(table: Table, fields: dict[str, list[Any]], row: int, seed: int) -> dict[str, Any]:
    """A record whose event id follows from the file, the row and the seed, so that it counts once however often it is
    sent."""
    event_id = uuid.uuid5(_IDS, f"{table.digest}/{row}/{seed}")
    given = {name: values[row] for name, values in fields.items() if values[row] not in (None, "")}
    return {"kind": "llm_call", "event_id": str(event_id), **given}


def _or_none(numbers: Floats) -> list[float | None]:
    return [None if missing else value for value, missing in zip(numbers.tolist(), np.isnan(numbers), strict=True)]
