"""Filters of the templates of traces and logs."""
