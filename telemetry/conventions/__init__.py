"""OpenTelemetry's conventions for GenAI and MCP in three generations, and those of the libraries that have their own:
what a span means."""
