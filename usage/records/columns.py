"""2 validate, second half: records against the clock and the bounds, and into the columns that are stored.

A refused record leaves traces of its own among the columns (`Columns.ghosts`): it is counted under `validation`, and a
refused `llm_call` is a usage event that failed. Their event ids are derived from the record's, so that a retry counts
nothing twice and the mended record is still welcome under its own id.
"""

from __future__ import annotations

import uuid
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeVar, cast

import msgspec
import numpy as np

from promql.values import Bools, Floats, Ints
from usage.catalog import KINDS, UNKNOWN
from usage.records.lenient import in_seconds
from usage.records.pricing import Pricer
from usage.records.records import AnyRecord, Decoded, LlmCall, Rejection, not_identifiers
from usage.store.measures import optional

# A dimension before it has an id: its kind, then the values of the kind's labels (for gauges, name and value in turn).
DimensionKey = tuple[str, ...]
Fields = Mapping[str, Sequence[Any]]

# The fields of records that are numbers: columns of what is stored.
NUMBERS = (
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_usd",
    "duration_seconds",
    "rate_limit_delay_seconds",
    "value",
)
_GHOSTS = uuid.UUID("6b1f0f0c-6a35-4a6e-9d2c-53a7f8a4f6f1")
_integer = attrgetter("int")
T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True)
class Bounds:
    """What a record may be. Lengths are characters and bytes, ages seconds."""

    label_length: int
    attributes_bytes: int
    oldest: float
    newest: float


@dataclass
class Columns:
    """Rows to be stored, a column each: event ids as 16 bytes, epoch seconds, `numbers` by field (NaN: absent).

    `keys` are the rows' distinct dimensions and `price_sources` sources, `key_of` and `source_of` which of them each
    row has. `timeless` are events that did not say when they happened. `ghosts` is how many rows, at the end, are no
    records but count.
    """

    event_ids: list[bytes]
    at: Floats
    keys: list[DimensionKey]
    key_of: Ints
    numbers: dict[str, Floats]
    price_sources: list[str]
    source_of: Ints
    trace_ids: Sequence[str]
    span_ids: Sequence[str]
    attributes: Sequence[str]
    timeless: Bools
    ghosts: int = 0

    def __len__(self) -> int:
        return len(self.event_ids)

    def keep(self, rows: Ints) -> Columns:
        """These rows only; they ascend."""
        if len(rows) == len(self):
            return self
        chosen = rows.tolist()
        used, key_of = np.unique(self.key_of[rows], return_inverse=True)
        return Columns(
            [self.event_ids[row] for row in chosen],
            self.at[rows],
            [self.keys[place] for place in used.tolist()],
            key_of,
            {name: values[rows] for name, values in self.numbers.items()},
            self.price_sources,
            self.source_of[rows],
            [self.trace_ids[row] for row in chosen],
            [self.span_ids[row] for row in chosen],
            [self.attributes[row] for row in chosen],
            self.timeless[rows],
            int((rows >= len(self) - self.ghosts).sum()),
        )

    def of_kind(self, kind: str) -> Columns:
        """The rows of one kind."""
        of_key = np.array([key[0] == kind for key in self.keys], dtype=bool)
        return self if of_key.all() else self.keep(np.flatnonzero(of_key[self.key_of]))


def joined(parts: Sequence[Columns]) -> Columns:
    """Columns one after another; ghosts may only be in the last ones."""
    if len(parts) == 1:
        return parts[0]
    first_key = np.cumsum([0, *(len(one.keys) for one in parts[:-1])])
    first_source = np.cumsum([0, *(len(one.price_sources) for one in parts[:-1])])
    return Columns(
        [event for one in parts for event in one.event_ids],
        np.concatenate([one.at for one in parts]),
        [key for one in parts for key in one.keys],
        np.concatenate([one.key_of + first for one, first in zip(parts, first_key, strict=True)]),
        {name: np.concatenate([one.numbers[name] for one in parts]) for name in NUMBERS},
        [source for one in parts for source in one.price_sources],
        np.concatenate([one.source_of + first for one, first in zip(parts, first_source, strict=True)]),
        [text for one in parts for text in one.trace_ids],
        [text for one in parts for text in one.span_ids],
        [text for one in parts for text in one.attributes],
        np.concatenate([one.timeless for one in parts]),
        sum(one.ghosts for one in parts),
    )


def distinct(values: Iterable[T]) -> tuple[list[T], Ints]:
    """The distinct values in order of appearance, and the place of each value among them."""
    places: dict[T, int] = {}
    of = [places.setdefault(value, len(places)) for value in values]
    return list(places), np.array(of, dtype=np.int64)


def label_problem(key: DimensionKey, bounds: Bounds) -> tuple[str, str] | None:
    """The label and the reason for which a dimension is refused, or None."""
    for place, value in enumerate(key[1:]):
        if len(value) > bounds.label_length or "\x00" in value:
            name = "labels" if key[0] == "gauge" else KINDS[key[0]].labels[place]
            too_long = f"longer than {bounds.label_length} characters"
            return name, too_long if len(value) > bounds.label_length else "contains a NUL character"
    return None


def attributes_text(attributes: dict[str, Any] | None, bounds: Bounds) -> str:
    """Attributes as JSON, "" for none. Raises ValueError with the reason for which they are refused."""
    if not attributes:
        return ""
    text = msgspec.json.encode(attributes)
    if len(text) > bounds.attributes_bytes:
        raise ValueError(f"longer than {bounds.attributes_bytes} bytes")
    if b"\\u0000" in text:
        raise ValueError("contains a NUL character")
    return text.decode()


def epoch_seconds(given: Sequence[datetime | float | None], received_at: float) -> Floats:
    """When each record happened: its `at`, else when it was received, in whole microseconds.

    Postgres keeps no finer times: one that it rounded up could lie in the next day, where its event is not looked for.
    """
    given_times = [received_at if at is None else at.timestamp() if isinstance(at, datetime) else at for at in given]
    with np.errstate(over="ignore"):  # what is too large to be rounded is refused as ahead of the clock
        rounded: Floats = np.rint(in_seconds(np.array(given_times, dtype=np.float64)) * 1e6) / 1e6
    return rounded


def event_bytes(records: Sequence[AnyRecord], receipt: uuid.UUID, indexes: Sequence[int]) -> list[bytes]:
    """The event ids, 16 bytes each. A record without one is given one made of the receipt and its place."""
    pairs = zip(records, indexes, strict=True)
    events = [record.event_id or uuid.uuid5(receipt, str(index)) for record, index in pairs]
    return [number.to_bytes(16, "big") for number in map(_integer, events)]


def prepare(
    decoded: Decoded, receipt: uuid.UUID, workspace: str, received_at: float, bounds: Bounds, pricer: Pricer | None
) -> tuple[Columns, list[Rejection]]:
    """The rows of a decoded body, kind by kind, and every refused record, by place.

    Event ids are made of the receipt where they are missing, so that preparing a spooled batch again gives the same
    rows. Without a `pricer` nothing is priced (prices are in Postgres, which may be away when only the answer is
    needed).
    """
    rejected, parts = list(decoded.rejected), []
    events = event_bytes(decoded.records, receipt, decoded.indexes)
    kinds: dict[type[AnyRecord], None] = dict.fromkeys(map(type, decoded.records))
    for kind in kinds:
        chosen = [place for place, record in enumerate(decoded.records) if type(record) is kind]
        records = [decoded.records[place] for place in chosen]
        indexes = [decoded.indexes[place] for place in chosen]
        given: dict[str, Sequence[Any]] = dict(
            zip(kind.__struct_fields__, zip(*map(msgspec.structs.astuple, records), strict=True), strict=True)
        )
        given |= {name: present(given[name]) for name in ("workspace", "trace_id", "span_id")}
        first, identity_of = identified(kind.identities(given))
        labels = [(str(kind.__struct_config__.tag), *records[row].labels(workspace)) for row in first]
        columns = typed_columns(given, labels, identity_of, [events[place] for place in chosen], received_at)
        wrong = problems(columns, given, workspace, bounds)
        rejected += [Rejection(indexes[row], *why, raw=msgspec.json.encode(records[row])) for row, why in wrong.items()]
        good = np.ones(len(records), dtype=bool)
        good[[*wrong]] = False
        columns = columns.keep(np.flatnonzero(good))
        if pricer and kind is LlmCall:
            models = [(given["provider"][row], given["model"][row]) for row in first]
            priced = pricer.price(models, identity_of[good], columns.at, columns.numbers)
            columns.numbers["cost_usd"] = priced.costs
            columns.price_sources, columns.source_of = priced.sources, priced.source_of
        parts.append(columns)
    if rejected or not parts:
        parts.append(ghosts(rejected, receipt, workspace, received_at))
    return joined(parts), sorted(rejected, key=lambda one: one.index)


def present(texts: Sequence[str | None]) -> Sequence[str]:
    """Texts with "" for those that are null."""
    return ["" if text is None else text for text in texts] if None in texts else cast("Sequence[str]", texts)


def identified(identities: Iterable[Hashable]) -> tuple[list[int], Ints]:
    """The first row of each distinct identity, and which of them each row has."""
    first: dict[Hashable, int] = {}
    row_of = np.array([first.setdefault(one, row) for row, one in enumerate(identities)], dtype=np.int64)
    rows = [*first.values()]
    return rows, np.searchsorted(rows, row_of)


def typed_columns(
    given: Fields, labels: Sequence[DimensionKey], identity_of: Ints, event_ids: list[bytes], received_at: float
) -> Columns:
    """The columns of one kind's records, not yet checked nor priced, without attributes; `labels` are their identities'
    dimensions."""
    keys, key_of_identity = distinct(labels)
    absent = np.full(len(event_ids), np.nan)
    numbers = {name: given.get(name, ()) for name in NUMBERS}
    return Columns(
        event_ids,
        epoch_seconds(given["at"], received_at),
        keys,
        key_of_identity[identity_of],
        {name: absent if values.count(None) == len(values) else optional(values) for name, values in numbers.items()},
        [""],
        np.zeros(len(event_ids), dtype=np.int64),
        given["trace_id"],
        given["span_id"],
        [""] * len(event_ids),
        np.array([at is None for at in given["at"]], dtype=bool),
    )


def problems(columns: Columns, given: Fields, workspace: str, bounds: Bounds) -> dict[int, tuple[str, str]]:
    """The rows of well-formed records that are refused, with the field and the reason; fills in the others'
    attributes."""
    wrong: dict[int, tuple[str, str]] = {}

    def refuse(rows: Ints, label: str, reason: str) -> None:
        for row in rows.tolist():
            wrong.setdefault(row, (label, reason))

    refuse(np.flatnonzero(columns.at > bounds.newest), "at", "ahead of the server's clock by more than is allowed")
    refuse(np.flatnonzero(~(columns.at >= bounds.oldest)), "at", "older than this key may send")
    if not {"", workspace}.issuperset(given["workspace"]):
        foreign = np.array([one not in ("", workspace) for one in given["workspace"]])
        refuse(np.flatnonzero(foreign), "workspace", f"the API key writes into workspace {workspace!r} only")
    for name in ("trace_id", "span_id"):
        refuse(np.array(not_identifiers(given[name]), dtype=np.int64), name, "may have letters, digits and _.:- only")
    for place, key in enumerate(columns.keys):
        reason = label_problem(key, bounds)
        if reason is not None:
            refuse(np.flatnonzero(columns.key_of == place), *reason)
    if any(given["attributes"]):
        columns.attributes = [""] * len(columns)
        for row, attributes in enumerate(given["attributes"]):
            try:
                columns.attributes[row] = attributes_text(attributes, bounds)
            except ValueError as error:
                wrong.setdefault(row, ("attributes", str(error)))
    return wrong


def ghosts(rejected: Sequence[Rejection], receipt: uuid.UUID, workspace: str, received_at: float) -> Columns:
    """What refused records count as: a validation error each, and a failed usage event where it was a call of a
    model."""
    found = [one for rejection in rejected for one in ghosts_of(rejection, receipt, workspace)]
    keys, key_of = distinct(key for _, key in found)
    nothing, texts = np.full(len(found), np.nan), [""] * len(found)
    return Columns(
        [event.bytes for event, _ in found],
        np.full(len(found), received_at),
        keys,
        key_of,
        dict.fromkeys(NUMBERS, nothing),
        [""],
        np.zeros(len(found), dtype=np.int64),
        texts,
        texts,
        texts,
        np.ones(len(found), dtype=bool),
        ghosts=len(found),
    )


def ghosts_of(rejection: Rejection, receipt: uuid.UUID, workspace: str) -> Iterator[tuple[uuid.UUID, DimensionKey]]:
    """The event ids and dimensions under which a refused record counts."""
    given = loosely(rejection.raw)
    try:
        event_id = uuid.UUID(str(given.get("event_id")))
    except ValueError:
        event_id = uuid.uuid5(receipt, str(rejection.index))
    yield uuid.uuid5(_GHOSTS, f"{event_id}/persist"), ("persist", "", "validation")
    if given.get("kind") == "llm_call":
        team, component, provider, model = (
            str(given.get(name) or "")[:100].replace("\x00", "") for name in ("team", "component", "provider", "model")
        )
        labels = (workspace, team, component or UNKNOWN, provider or UNKNOWN, model or UNKNOWN, "", "", "", "failure")
        yield uuid.uuid5(_GHOSTS, f"{event_id}/llm_call"), ("llm_call", *labels)


def loosely(raw: bytes) -> dict[str, object]:
    """What can be read of a refused record."""
    try:
        given = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return given if isinstance(given, dict) else {}
