"""The protocol: OTLP over HTTP, as protobuf and as JSON, read into one form; its answers and errors."""
