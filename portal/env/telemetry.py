"""OpenTelemetry: what comes in, and the portal's own traces."""

from __future__ import annotations

from dataclasses import dataclass

from portal.env.fields import setting


@dataclass(frozen=True, kw_only=True)
class Telemetry:
    """Traces and logs of the applications."""

    telemetry_content: str = setting(
        "drop",
        "What becomes of prompts, completions, embeddings and headers: `drop` on arrival, or `store` masked, for"
        " operators to read.",
        section="Telemetry",
        options=("drop", "store"),
    )
    otlp_forward_url: str = setting(
        "",
        "OTLP/HTTP receiver that everything that arrives over OTLP is handed on to, without `/v1/traces`. Empty: none.",
        section="Telemetry",
        schemes=("http", "https"),
    )
    otlp_forward_headers: str = setting(
        "",
        "Headers for that receiver, `name=value` separated by commas, values percent-encoded.",
        section="Telemetry",
        secret=True,
    )
    telemetry_mask: str = setting(
        "",
        "Regular expression (RE2) of what is masked in stored content besides keys, email addresses and card numbers.",
        section="Telemetry",
    )
    lineage_wait: int = setting(
        8,
        "The usage of a span is counted this long after it arrived, so that spans below it that tell of the same "
        "call are there.",
        section="Telemetry",
        unit="seconds",
        low=0,
        high=3600,
    )
    trace_keep: float = setting(
        0.1,
        "Share of the traces that are kept besides those with errors, the slowest and the costliest.",
        section="Telemetry",
        low=0,
        high=1,
    )
    trace_settle: int = setting(
        600,
        "A trace of which nothing came for this long is kept or dropped.",
        section="Telemetry",
        unit="seconds",
        low=60,
    )


@dataclass(frozen=True, kw_only=True)
class OwnTraces:
    """Where the portal's own traces go."""

    otel_endpoint: str = setting(
        "",
        "OTLP/HTTP receiver of the portal's own traces, without `/v1/traces`. Empty: it is not traced. See"
        " [tracing.md](tracing.md).",
        section="The portal's own traces",
        env="OTEL_EXPORTER_OTLP_ENDPOINT",
        schemes=("http", "https"),
    )
    otel_headers: str = setting(
        "",
        "Headers for that receiver, `name=value` separated by commas, values percent-encoded.",
        section="The portal's own traces",
        env="OTEL_EXPORTER_OTLP_HEADERS",
        secret=True,
    )
