"""What is left of an incident: the steps of its runbook that were ticked, incidents like it
and how they ended, and its write-up."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Case, OuterRef, Subquery, When

from alerts.incidents.mixed import colleagues, hide_others
from alerts.incidents.models import Incident, IncidentEvent
from alerts.incidents.queries import IncidentDetail, visible_incidents
from core.ui.durations import format_long

# A numbered line, or a box to tick.
STEP = re.compile(r"^\s{0,3}(?:\d{1,3}[.)]|[-*+]\s+\[[ xX]\])\s+(\S.*)$", re.MULTILINE)
MAX_STEPS, LONGEST_STEP = 50, 300
ALIKE = 5
Kind = IncidentEvent.Kind


@dataclass(frozen=True)
class Step:
    """A step of the runbook; `by` and `at` say who ticked it and when, None where nobody has."""

    number: int
    text: str
    by: str | None
    at: dt.datetime | None


def steps_of(runbook: str) -> list[str]:
    """The steps that a runbook's text has: its numbered lines and boxes."""
    return [found[1].strip()[:LONGEST_STEP] for found in STEP.finditer(runbook)][:MAX_STEPS]


def ticked_steps(runbook: str, events: Sequence[IncidentEvent]) -> list[Step]:
    """The steps with who ticked them; a step is its text, so that an edit of others keeps the tick."""
    last = {event.text: event for event in events if event.kind in (Kind.TICKED, Kind.UNTICKED)}
    steps = []
    for number, text in enumerate(steps_of(runbook), 1):
        event = last.get(text)
        is_ticked = event is not None and event.kind == Kind.TICKED
        steps.append(
            Step(
                number,
                text,
                event.author_name if event and is_ticked else None,
                event.at if event and is_ticked else None,
            )
        )
    return steps


def incidents_alike(incident: Incident, workspaces: Collection[str] | None) -> list[Incident]:
    """The newest closed incidents of the same group, each with `last_comment`."""
    comments = IncidentEvent.objects.filter(incident=OuterRef("pk"), kind=Kind.COMMENT).order_by("-at", "-id")
    people = colleagues(workspaces)
    own = comments.filter(author__in=people)
    past = visible_incidents(workspaces).filter(digest=incident.digest, closed_at__isnull=False).exclude(pk=incident.pk)
    past = past.exclude(merged_into=incident)
    last = Case(
        When(has_others=True, then=Subquery(own.values("text")[:1])), default=Subquery(comments.values("text")[:1])
    )
    found = past.annotate(last_comment=last).select_related("resolved_by", "acknowledged_by", "owner")
    incidents: list[Incident] = list(found.order_by("-opened_at")[:ALIKE])
    for one in incidents:
        hide_others(one, people)
    return incidents


def write_up(
    found: IncidentDetail, lines: Sequence[tuple[dt.datetime, str]], steps: Sequence[Step], alike: Sequence[Incident]
) -> str:
    """The incident as Markdown: what, when, who, how it ended, and what happened line by line. Times are UTC."""
    incident = found.row.incident
    lasted = (incident.closed_at or incident.opened_at) - incident.opened_at
    facts = [
        ("Began", clock(incident.opened_at)),
        ("Ended", clock(incident.closed_at) if incident.closed_at else "not yet"),
        ("Lasted", format_long(lasted.total_seconds()) if incident.closed_at else "still going on"),
        ("Severity", incident.raised_to or found.row.lead.labels.get("severity", "")),
        ("Owner", incident.owner.get_username() if incident.owner else "nobody"),
        ("Acknowledged", clock(incident.acknowledged_at) if incident.acknowledged_at else "by nobody"),
        ("Alerts", f"{found.row.alerts:,}"),
        ("Messages", f"{incident.notifications:,}"),
    ]
    parts = [f"# {one_line(found.row.title)}", f"<{settings.PORTAL.public_url}/incidents/{incident.pk}/>"]
    parts.append("\n".join(f"- {name}: {text}" for name, text in facts if text))
    parts += ["## How it ended", incident.outcome or "Nobody has written that down yet."]
    parts += ["## What happened", "\n".join(f"- {clock(at)} {one_line(text)}" for at, text in lines) or "Nothing."]
    if steps:
        done = [
            f"- [{'x' if step.by else ' '}] {step.text}{f' ({step.by}, {clock(step.at)})' if step.at else ''}"
            for step in steps
        ]
        parts += ["## Runbook", "\n".join(done)]
    comments = [event for event in found.events if event.kind == Kind.COMMENT]
    if comments:
        said = "\n\n".join(f"**{one.author_name}, {clock(one.at)}**\n\n{one.text}" for one in comments)
        parts += ["## Comments", said]
    parts += ["## Alerts", "\n".join(f"- {one_line(member.alert.title)}" for member in found.members)]
    if alike:
        ends = [
            (one, one.outcome or getattr(one, "last_comment", None) or "no word about how it ended") for one in alike
        ]
        parts += ["## Seen before", "\n".join(f"- {clock(one.opened_at)}: {one_line(end)}" for one, end in ends)]
    return "\n\n".join(parts) + "\n"


def clock(at: dt.datetime) -> str:
    """A time as write-ups have it."""
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M}"


def one_line(text: str) -> str:
    """The text on one line."""
    return " ".join(text.split())
