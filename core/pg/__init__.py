"""Postgres beyond Django: arrays, binary COPY, bounds of time."""
