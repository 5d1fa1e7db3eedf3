"""Replay: a file of calls, sent through the HTTP API as an application would send them. `manage.py replay` is its
entrance.

read (the file's columns) → draw (what the file does not say) → plan (records and when they are sent) → send.
"""
