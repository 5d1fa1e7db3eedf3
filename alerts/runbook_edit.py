"""Writes of runbooks: a save is a new version, and an older text is brought back by saving it again."""

import datetime as dt

from django.contrib.auth.models import User
from django.db import transaction

from alerts.models import Runbook, RunbookVersion, author_fields


def save_version(runbook: Runbook, text: str, *, by: User | None, now: dt.datetime) -> RunbookVersion:
    """Keep the text as the newest version; a text that is the newest already is not kept twice."""
    with transaction.atomic():
        Runbook.objects.select_for_update().get(pk=runbook.pk)
        newest = runbook.versions.first()
        text = text.replace("\r\n", "\n")
        if newest is not None and newest.text == text:
            return newest
        number = newest.number + 1 if newest is not None else 1
        return RunbookVersion.objects.create(runbook=runbook, number=number, text=text, at=now, **author_fields(by))


def create_runbook(slug: str, title: str, text: str, *, by: User | None, now: dt.datetime) -> Runbook:
    """A new runbook with its first version."""
    with transaction.atomic():
        runbook = Runbook.objects.create(slug=slug, title=title)
        save_version(runbook, text, by=by, now=now)
    return runbook
