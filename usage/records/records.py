"""2 validate: the typed records of the HTTP interface, and reading a body into them.

A struct per kind; its fields are the interface's, with their bounds. `labels` gives the values of the kind's dimension,
in the catalog's order, with closed sets enforced: a value that is not in the set becomes `other` or `unknown`, never a
new label value.
"""

from __future__ import annotations

import re
import string
import uuid
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from usage import catalog
from usage.catalog import OTHER, UNKNOWN
from usage.records import lenient

Count = Annotated[int, Meta(ge=0, le=2**53)]
Seconds = Annotated[float, Meta(ge=0, le=31_536_000)]
Dollars = Annotated[float, Meta(ge=0, le=1_000_000_000)]
Identifier = Annotated[str, Meta(max_length=64)]
# Most JSON encoders write a field without a value as null: it is as one that is not there.
Text = str | None
Scalar = str | int | float | bool | None


class Common(msgspec.Struct, kw_only=True, tag_field="kind", forbid_unknown_fields=True, gc=False):
    """The fields of every record. `at` is RFC 3339 with an offset, or epoch seconds. `labelled` are the fields that
    labels come from.

    Records hold no cycles, so the garbage collector need not look at thousands of them in each batch.
    """

    labelled: ClassVar[tuple[str, ...]] = ()
    event_id: uuid.UUID | None = None
    at: Annotated[datetime, Meta(tz=True)] | float | None = None
    workspace: Text = ""
    team: Text = ""
    component: Text = ""
    trace_id: Identifier | None = ""
    span_id: Identifier | None = ""
    attributes: dict[str, Scalar] | None = None

    def labels(self, workspace: str) -> tuple[str, ...]:
        """The values of the kind's labels, in the catalog's order."""
        raise NotImplementedError

    @classmethod
    def identities(cls, given: Mapping[str, Sequence[Any]]) -> Iterable[Hashable]:
        """From the records' fields as columns, what each one's labels depend on: equal identities have equal labels."""
        return zip(*(given[name] for name in cls.labelled), strict=True)


def one_of(value: Text, allowed: Sequence[str], otherwise: str) -> str:
    """`value` where it is of a closed set (or empty), else `otherwise`."""
    return value or "" if not value or value in allowed else otherwise


_IDENTIFIER = (string.ascii_letters + string.digits + "_.:-").encode()


def not_identifiers(values: Sequence[str]) -> list[int]:
    """The places of the values that are no identifiers: letters, digits and `_.:-`. Looks at all of them at once where
    all are well."""
    if not "".join(values).encode().translate(None, _IDENTIFIER):
        return []
    return [place for place, value in enumerate(values) if value.encode().translate(None, _IDENTIFIER)]


class LlmCall(Common, tag="llm_call"):
    """A call of a language or embedding model."""

    labelled: ClassVar = ("team", "component", "provider", "model", "operation", "outcome", "error_type")
    provider: Text = ""
    model: Text = ""
    operation: Text = ""
    outcome: Text = ""
    error_type: Text = ""
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    cached_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    cost_usd: Dollars | None = None
    duration_seconds: Seconds | None = None
    rate_limit_delay_seconds: Seconds | None = None

    def labels(self, workspace: str) -> tuple[str, ...]:
        outcome = one_of(self.outcome, catalog.CALL_OUTCOMES, OTHER) or ("error" if self.error_type else "success")
        error = one_of(self.error_type, catalog.CALL_ERRORS, UNKNOWN)
        if outcome == "success":
            error = ""
        elif not error:
            error = {"timeout": "timeout", "rate_limited": "rate_limit"}.get(outcome, UNKNOWN)
        counted = self.prompt_tokens is not None or self.completion_tokens is not None
        usage = "success" if counted else "failure" if outcome == "success" else ""
        return (
            workspace,
            self.team or "",
            self.component or UNKNOWN,
            self.provider or UNKNOWN,
            self.model or UNKNOWN,
            self.operation or "",
            outcome,
            error,
            usage,
        )

    @classmethod
    def identities(cls, given: Mapping[str, Sequence[Any]]) -> Iterable[Hashable]:
        """What the labels depend on: also on whether there is any usage."""
        both = zip(given["prompt_tokens"], given["completion_tokens"], strict=True)
        counted = [prompt is not None or completion is not None for prompt, completion in both]
        return zip(*(given[name] for name in cls.labelled), counted, strict=True)


class ToolCall(Common, tag="tool_call"):
    """A call of an MCP tool."""

    labelled: ClassVar = ("team", "component", "server_id", "tool_name", "outcome", "error_kind")
    server_id: Text = ""
    tool_name: Text = ""
    outcome: Text = ""
    error_kind: Text = ""
    duration_seconds: Seconds | None = None

    def labels(self, workspace: str) -> tuple[str, ...]:
        outcome = one_of(self.outcome, catalog.TOOL_OUTCOMES, OTHER) or ("error" if self.error_kind else "success")
        error = one_of(self.error_kind, catalog.TOOL_ERRORS, UNKNOWN)
        if outcome == "success":
            error = ""
        elif not error:
            error = "timeout" if outcome == "timeout" else UNKNOWN
        server, tool = self.server_id or UNKNOWN, self.tool_name or UNKNOWN
        return (workspace, self.team or "", self.component or "", server, tool, outcome, error)


class Execution(Common, tag="execution"):
    """A run of a workflow, task or agent; `component` is which of them."""

    labelled: ClassVar = ("team", "component", "agent_id", "status")
    agent_id: Text = ""
    status: Text = ""
    duration_seconds: Seconds | None = None

    def labels(self, workspace: str) -> tuple[str, ...]:
        return (workspace, self.team or "", self.component or "", self.agent_id or UNKNOWN, self.status or UNKNOWN)


class GatewayRequest(Common, tag="gateway_request"):
    """A request that a gateway served."""

    labelled: ClassVar = ("team", "component", "gateway_id", "method", "status")
    gateway_id: Text = ""
    method: Text = ""
    status: str | int | None = ""
    duration_seconds: Seconds | None = None

    def labels(self, workspace: str) -> tuple[str, ...]:
        method, status = self.method or UNKNOWN, str("" if self.status is None else self.status) or UNKNOWN
        return (workspace, self.team or "", self.component or "", self.gateway_id or UNKNOWN, method, status)


class RegistryLookup(Common, tag="registry_lookup"):
    """A look-up in a tool registry."""

    labelled: ClassVar = ("team", "component", "outcome")
    outcome: Text = ""
    duration_seconds: Seconds | None = None

    def labels(self, workspace: str) -> tuple[str, ...]:
        outcome = one_of(self.outcome, catalog.LOOKUP_OUTCOMES, OTHER) or UNKNOWN
        return (workspace, self.team or "", self.component or "", outcome)


class FactoryCreate(Common, tag="factory_create"):
    """The making of a provider or tool by its factory."""

    labelled: ClassVar = ("team", "component", "factory_type", "name")
    factory_type: Text = ""
    name: Text = ""
    duration_seconds: Seconds | None = None

    def labels(self, workspace: str) -> tuple[str, ...]:
        kind = one_of(self.factory_type, catalog.FACTORY_TYPES, OTHER) or UNKNOWN
        return (workspace, self.team or "", self.component or "", kind, self.name or UNKNOWN)


class Gauge(Common, tag="gauge"):
    """A gauge of the catalog and its value now."""

    metric: str
    value: float
    labels_: dict[str, str] | None = msgspec.field(default_factory=dict, name="labels")

    def labels(self, workspace: str) -> tuple[str, ...]:
        """Workspace, metric, then each label's name and value, sorted by name: a gauge's labels are its family's."""
        named = (part for pair in sorted((self.labels_ or {}).items()) for part in pair)
        return (workspace, self.metric, *named)

    @classmethod
    def identities(cls, given: Mapping[str, Sequence[Any]]) -> Iterable[Hashable]:
        """What the labels depend on: the metric and its own labels."""
        return (
            (metric, *sorted((own or {}).items()))
            for metric, own in zip(given["metric"], given["labels_"], strict=True)
        )

    def check(self) -> None:
        """Raises msgspec.ValidationError where the catalog has no such gauge, or not with these labels."""
        family = catalog.BY_NAME.get(self.metric)
        if family is None or family.type != "gauge" or family.name in catalog.OWN_GAUGES:
            raise msgspec.ValidationError("not a gauge that clients may send - at `$.metric`")
        wrong = (self.labels_ or {}).keys() ^ set(family.labels)
        if wrong:
            raise msgspec.ValidationError(f"the labels must be {list(family.labels)} - at `$.labels`")


AnyRecord = LlmCall | ToolCall | Execution | GatewayRequest | RegistryLookup | FactoryCreate | Gauge

_record: msgspec.json.Decoder[AnyRecord] = msgspec.json.Decoder(AnyRecord)
_batch = msgspec.json.Decoder(list[AnyRecord])
_raw_batch = msgspec.json.Decoder(list[msgspec.Raw])
_PATH = re.compile(r"^(?P<error>.*?)(?: - at `\$\.?(?P<field>[^`]*)`)?$", re.DOTALL)
_UNKNOWN_FIELD = re.compile(r"(?:unknown|required) field `([^`]+)`")


@dataclass(frozen=True)
class Rejection:
    """A refused record: its place in the batch, the field and what was wrong with it. `raw` is the record's own
    text."""

    index: int
    field: str
    error: str
    raw: bytes = b""


@dataclass
class Decoded:
    """A body read: the good records with their places, and the refused ones."""

    records: list[AnyRecord] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)


class Unreadable(ValueError):
    """The body is no JSON object, array or NDJSON."""


def rejection(index: int, error: msgspec.MsgspecError, raw: bytes) -> Rejection:
    """A refusal with the field that msgspec's message names. What it quotes may hold NUL, which Postgres cannot
    keep."""
    message = str(error).replace("\x00", "\ufffd")
    match = _PATH.match(message)
    text, path = (match["error"], match["field"] or "") if match else (message, "")
    named = _UNKNOWN_FIELD.search(text)
    return Rejection(index, path or (named[1] if named else ""), text, raw)


def raw_records(body: bytes) -> list[bytes]:
    """The records' own texts. Raises Unreadable."""
    stripped = body.strip()
    if not stripped:
        raise Unreadable("the body is empty; send a JSON object, an array of them, or one per line")
    if stripped[:1] == b"[":
        try:
            return [bytes(raw) for raw in _raw_batch.decode(stripped)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unreadable(f"not a JSON array: {error}") from error
    if stripped[:1] != b"{":
        raise Unreadable("expected a JSON object, an array of them, or one per line")
    try:
        return [bytes(msgspec.json.decode(stripped, type=msgspec.Raw))]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        lines = [line for line in stripped.splitlines() if line.strip()]
        if len(lines) == 1:
            raise Unreadable("not a JSON object") from None
        return lines


def read_one(raw: bytes) -> AnyRecord:
    """A record, also where its numbers or its time are written in another form (see usage.records.lenient). Raises
    msgspec.MsgspecError."""
    try:
        return _record.decode(raw)
    except msgspec.ValidationError:
        given: object = msgspec.json.decode(raw)
        if not isinstance(given, dict) or not any(isinstance(value, str) for value in given.values()):
            raise
        converted: AnyRecord = msgspec.convert(lenient.plain(given), AnyRecord)
        return converted


def decode(body: bytes) -> Decoded:
    """The records of a body, bad ones apart. Raises Unreadable where there is nothing to tell apart."""
    try:
        records = _batch.decode(body)
        if Gauge not in set(map(type, records)):
            return Decoded(records, list(range(len(records))))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # one record, NDJSON, or a bad record among good ones: each is read by itself
    decoded = Decoded()
    for index, raw in enumerate(raw_records(body)):
        try:
            record = read_one(raw)
            if isinstance(record, Gauge):
                record.check()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            wrong = (
                error
                if isinstance(error, msgspec.MsgspecError)
                else msgspec.DecodeError("not UTF-8, or nested too deeply")
            )
            decoded.rejected.append(rejection(index, wrong, raw))
            continue
        decoded.records.append(record)
        decoded.indexes.append(index)
    return decoded
