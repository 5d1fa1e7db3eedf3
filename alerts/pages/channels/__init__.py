"""Channels, and the templates of their messages."""
