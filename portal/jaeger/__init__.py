"""Jaeger's query API: Jaeger's UI and Grafana's Jaeger data source read the portal's traces."""
