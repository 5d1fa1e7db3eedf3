"""Traces: search, the waterfall, one span, two traces beside each other."""
