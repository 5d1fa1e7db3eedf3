"""2 validate, second half: records against the clock and the bounds, and into the columns that are stored.

A refused record leaves traces of its own among the columns (`Columns.ghosts`): it is counted under `validation`, and a refused
`llm_call` is a usage event that failed. Their event ids are derived from the record's, so that a retry counts nothing twice and
the mended record is still welcome under its own id.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

import msgspec

from usage.catalog import KINDS, UNKNOWN
from usage.price import Pricer
from usage.records import AnyRecord, Decoded, LlmCall, Rejection

# A dimension before it has an id: its kind, then the values of the kind's labels (for gauges, name and value in turn).
DimensionKey = tuple[str, ...]

_GHOSTS = uuid.UUID("6b1f0f0c-6a35-4a6e-9d2c-53a7f8a4f6f1")


@dataclass(frozen=True)
class Bounds:
    """What a record may be. Lengths are characters and bytes, ages seconds."""

    label_length: int
    attributes_bytes: int
    oldest: float
    newest: float


@dataclass
class Columns:
    """Rows to be stored, a list per column. `ghosts` is how many rows, at the end, are no records but count."""

    event_ids: list[uuid.UUID] = field(default_factory=list)
    dimensions: list[DimensionKey] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    records: list[AnyRecord | None] = field(default_factory=list)
    costs: list[float | None] = field(default_factory=list)
    price_sources: list[str] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    ghosts: int = 0

    def __len__(self) -> int:
        return len(self.event_ids)

    def keep(self, rows: list[int]) -> Columns:
        """These rows only, in this order."""
        ghosts = sum(1 for row in rows if self.records[row] is None)
        kept = Columns(ghosts=ghosts)
        for name in ("event_ids", "dimensions", "at", "records", "costs", "price_sources", "attributes"):
            column = getattr(self, name)
            setattr(kept, name, [column[row] for row in rows])
        return kept


def problem(record: AnyRecord, at: float, workspace: str, bounds: Bounds) -> tuple[str, str] | None:
    """The field and the reason for which a well-formed record is refused, or None."""
    if at > bounds.newest:
        return "at", "ahead of the server's clock by more than is allowed"
    if not at >= bounds.oldest:
        return "at", "older than this key may send"
    if record.workspace and record.workspace != workspace:
        return "workspace", f"the API key writes into workspace {workspace!r} only"
    return None


def label_problem(key: DimensionKey, bounds: Bounds) -> tuple[str, str] | None:
    """The label and the reason for which a dimension is refused, or None."""
    for place, value in enumerate(key[1:]):
        if len(value) > bounds.label_length or "\x00" in value:
            name = "labels" if key[0] == "gauge" else KINDS[key[0]].labels[place]
            too_long = f"longer than {bounds.label_length} characters"
            return name, too_long if len(value) > bounds.label_length else "contains a NUL character"
    return None


def attributes_text(record: AnyRecord, bounds: Bounds) -> str:
    """The attributes as JSON, "" for none. Raises ValueError with the reason for which they are refused."""
    if not record.attributes:
        return ""
    text = msgspec.json.encode(record.attributes)
    if len(text) > bounds.attributes_bytes:
        raise ValueError(f"longer than {bounds.attributes_bytes} bytes")
    if b"\\u0000" in text:
        raise ValueError("contains a NUL character")
    return text.decode()


def epoch_seconds(record: AnyRecord, received_at: float) -> float:
    """When the record happened: its `at`, else when it was received."""
    at = record.at
    if at is None:
        return received_at
    return float(at) if isinstance(at, (int, float)) else at.timestamp()


def prepare(
    decoded: Decoded, receipt: uuid.UUID, workspace: str, received_at: float, bounds: Bounds, pricer: Pricer | None
) -> tuple[Columns, list[Rejection]]:
    """The rows of a decoded body, and every refused record, by place.

    A record without an event id is given one made of the receipt and its place, so that preparing a spooled batch again gives the
    same rows. Without a `pricer` nothing is priced (prices are in Postgres, which may be away when only the answer is needed).
    """
    columns, rejected = Columns(), list(decoded.rejected)
    checked: dict[DimensionKey, tuple[str, str] | None] = {}
    for index, record in zip(decoded.indexes, decoded.records, strict=True):
        at = epoch_seconds(record, received_at)
        key: DimensionKey = (str(record.__struct_config__.tag), *record.labels(workspace))
        if key not in checked:  # a batch has few label sets
            checked[key] = label_problem(key, bounds)
        wrong = problem(record, at, workspace, bounds) or checked[key]
        attributes = ""
        if wrong is None:
            try:
                attributes = attributes_text(record, bounds)
            except ValueError as error:
                wrong = "attributes", str(error)
        if wrong is not None:
            rejected.append(Rejection(index, *wrong, raw=msgspec.json.encode(record)))
            continue
        cost, source = pricer.price(record, at) if pricer and type(record) is LlmCall else (None, "")
        columns.event_ids.append(record.event_id or uuid.uuid5(receipt, str(index)))
        columns.dimensions.append(key)
        columns.at.append(at)
        columns.records.append(record)
        columns.costs.append(cost)
        columns.price_sources.append(source)
        columns.attributes.append(attributes)
    for rejection in rejected:
        add_ghosts(columns, rejection, receipt, workspace, received_at)
    return columns, sorted(rejected, key=lambda one: one.index)


def add_ghosts(columns: Columns, rejection: Rejection, receipt: uuid.UUID, workspace: str, received_at: float) -> None:
    """What a refused record counts as: a validation error, and a failed usage event where it was a call of a model."""
    given = loosely(rejection.raw)
    try:
        event_id = uuid.UUID(str(given.get("event_id")))
    except ValueError:
        event_id = uuid.uuid5(receipt, str(rejection.index))
    ghosts: list[DimensionKey] = [("persist", "", "validation")]
    if given.get("kind") == "llm_call":
        known = [
            str(given.get(name) or "")[:100].replace("\x00", "") for name in ("team", "component", "provider", "model")
        ]
        team, component, provider, model = known
        call = (workspace, team, component or UNKNOWN, provider or UNKNOWN, model or UNKNOWN, "", "", "", "failure")
        ghosts.append(("llm_call", *call))
    for ghost in ghosts:
        columns.event_ids.append(uuid.uuid5(_GHOSTS, f"{event_id}/{ghost[0]}"))
        columns.dimensions.append(ghost)
        columns.at.append(received_at)
        columns.records.append(None)
        columns.costs.append(None)
        columns.price_sources.append("")
        columns.attributes.append("")
        columns.ghosts += 1


def loosely(raw: bytes) -> dict[str, object]:
    """What can be read of a refused record."""
    try:
        given = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return given if isinstance(given, dict) else {}
