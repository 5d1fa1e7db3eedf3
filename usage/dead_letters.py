"""Writes of dead letters, beside `usage.ingest.replay`."""

from usage.models import DeadLetter


def discard(letter: DeadLetter) -> None:
    """Drop the batch for good; its records are lost unless the client sends them again."""
    letter.delete()
