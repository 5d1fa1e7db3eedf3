"""The portal traces itself with OpenTelemetry's SDK, where `OTEL_EXPORTER_OTLP_ENDPOINT` says where to send it."""
