"""Writes of dead letters, beside `usage.ingest.pipeline.replay`."""

from django.db import transaction

from core.accounts import permissions
from core.audit.record import record, snapshot
from usage.models import DeadLetter, MissingUsage


def may_change_letter(person: permissions.Person, letter: DeadLetter) -> bool:
    """Whether the person operates the letter's workspace; one without a workspace belongs to superusers."""
    if letter.workspace_id is None:
        return permissions.is_superuser(person)
    return permissions.operated(person).filter(pk=letter.workspace_id).exists()


def discard(letter: DeadLetter) -> None:
    """Drop the batch for good; its records are lost unless the client sends them again."""
    with transaction.atomic():
        record("discarded", letter, before=snapshot(letter, ("receipt", "records", "error")))
        MissingUsage.objects.filter(receipt=letter.receipt).delete()  # they stay counted
        letter.delete()
