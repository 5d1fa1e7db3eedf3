"""The Prometheus HTTP API: Grafana, promtool and other clients take the portal as a Prometheus."""
