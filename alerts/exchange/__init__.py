"""Rules from and to the files of other systems: Prometheus, vmalert, Grafana's provisioning, and the simple format."""
