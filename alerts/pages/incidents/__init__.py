"""Incidents: their list, one of them, and what people do from a message."""
