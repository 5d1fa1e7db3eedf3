"""Alerts: their list, and one of them with its evidence and timeline."""
