"""Logs: search, histogram, patterns, live tail."""
