"""Invented executions, so that the pages of traces and logs live on a fresh install."""
