"""Writes of runbooks: a save is a new version, and an older text is brought back by saving it again."""

import datetime as dt

from django.db import transaction

from alerts.models import Runbook, RunbookVersion, author_fields
from core.accounts.holder import Actor
from core.accounts.models import Workspace
from core.audit.record import record, record_change


def save_version(runbook: Runbook, text: str, *, by: Actor | None, now: dt.datetime) -> RunbookVersion:
    """Keep the text as the newest version; a text that is the newest already is not kept twice."""
    with transaction.atomic():
        Runbook.objects.select_for_update().get(pk=runbook.pk)
        newest = runbook.versions.first()
        text = text.replace("\r\n", "\n")
        if newest is not None and newest.text == text:
            return newest
        number = newest.number + 1 if newest is not None else 1
        version = RunbookVersion.objects.create(runbook=runbook, number=number, text=text, at=now, **author_fields(by))
        before = None if newest is None else {"version": newest.number}
        record("created" if newest is None else "changed", runbook, before=before, after={"version": number}, by=by)
        return version


def create_runbook(
    slug: str, title: str, text: str, *, by: Actor | None, now: dt.datetime, workspace: Workspace | None = None
) -> Runbook:
    """A new runbook with its first version, of the workspace or (None) of the whole portal."""
    with transaction.atomic():
        runbook = Runbook.objects.create(slug=slug, title=title, workspace=workspace)
        save_version(runbook, text, by=by, now=now)
    return runbook


def rename_runbook(runbook: Runbook, title: str, *, by: Actor | None) -> Runbook:
    """Change the title; rules and links go by the slug, which stays."""
    old = runbook.title
    with transaction.atomic():
        runbook.title = title
        runbook.save(update_fields=["title"])
        record_change(runbook, {"title": old}, {"title": title}, by=by)
    return runbook


def delete_runbook(runbook: Runbook, *, by: Actor | None) -> None:
    """Remove a runbook with its versions; rules that have it go on without one."""
    with transaction.atomic():
        record("deleted", runbook, by=by)
        runbook.delete()
