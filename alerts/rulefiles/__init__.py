"""Prometheus's rule files and promtool's unit-test files: read, checked as promtool checks them, and run over series in
memory."""
