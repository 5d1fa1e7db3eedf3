"""An Alertmanager for others: its HTTP API (version 2), for Prometheus, Grafana and amtool. Source: Alertmanager's
`api/v2/openapi.yaml`."""
