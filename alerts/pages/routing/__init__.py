"""Routing, silences and times: which way alerts go."""
