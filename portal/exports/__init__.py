"""What is generated from the code: files for Grafana and Prometheus, reference pages."""
