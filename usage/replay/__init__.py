"""Replay: a file of calls, sent through the HTTP API as an application would send it. `manage.py replay` is its entrance."""
