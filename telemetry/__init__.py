"""OpenTelemetry in: spans, metrics and logs over OTLP become usage, counted once, and are kept for the pages of traces
and logs."""
