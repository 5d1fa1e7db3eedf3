"""Pages of incidents: what is going on, who has it, what was sent and why."""

from __future__ import annotations

import datetime as dt

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from alerts.evidence import failing, origins, traces
from alerts.evidence.changes import changes_around
from alerts.incidents import actions, queries, write_up
from alerts.incidents import merge as merging
from alerts.incidents import resolve as resolving
from alerts.incidents.mixed import may_act_on
from alerts.incidents.models import Incident
from alerts.models import Severity
from alerts.oncall.queries import duties, escalation_rows
from alerts.oncall.schedules import eligible
from alerts.pages.alerts.alerts import require_operator
from alerts.pages.incidents.incident_timeline import incident_timeline
from alerts.pages.rules.trial import PastIncident
from alerts.queries import RunbookDetail, runbook_detail
from alerts.runbooks import html
from core.accounts import permissions
from core.accounts.models import Workspace

SNOOZES = (("1h", "1 hour", 1), ("4h", "4 hours", 4), ("1d", "a day", 24), ("3d", "3 days", 72))
MAX_OWNERS = 200
OVER = "It was taken by somebody else, or it is over."
NOT_YOURS = (
    "It also has alerts of workspaces that you do not operate, for which this would hold too. Silence your own alerts,"
    " or ask an operator of them all."
)


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Open incidents, the newest 200 of them, the worst first; then the newest closed ones. `open` and `page` lead to
    the others."""
    slugs = permissions.scope_of(request.user, request.GET).slugs
    open_rows, open_pages = queries.incident_page(slugs, request.GET.get("open"), is_open=True, size=200)
    closed_rows, pages = queries.incident_page(slugs, request.GET.get("page"), is_open=False)
    context = {
        "open_rows": queries.worst(open_rows),
        "open_pages": open_pages,
        "closed_rows": closed_rows,
        "pages": pages,
    }
    return render(request, "alerts/incidents.html", context)


def find(request: HttpRequest, incident_id: int) -> queries.IncidentDetail:
    """The incident. Raises Http404, also for one of another workspace."""
    try:
        return queries.incident_detail(incident_id, permissions.scope_of(request.user, {}).slugs, timezone.now())
    except Incident.DoesNotExist:
        raise Http404("No such incident.") from None


def find_to_write(request: HttpRequest, incident_id: int) -> Incident:
    """The incident. Raises PermissionDenied where the person does not operate the workspace of its first alert."""
    row = find(request, incident_id).row
    require_operator(request, row.lead)
    return row.incident


def find_to_change(request: HttpRequest, incident_id: int) -> Incident:
    """The incident. Raises PermissionDenied where the person does not operate the workspaces of all its alerts."""
    incident = find_to_write(request, incident_id)
    if not may_act_on(permissions.person_of(request), incident):
        raise PermissionDenied(NOT_YOURS)
    return incident


@login_required
@require_GET
def detail(request: HttpRequest, incident_id: int) -> HttpResponse:
    """One incident: what it is, what was sent and why, what to do."""
    found = find(request, incident_id)
    runbook = runbook_of(found)
    slugs, now, lead = permissions.scope_of(request.user, {}).slugs, timezone.now(), found.row.lead
    may_operate = permissions.may_operate(request.user)
    context: dict[str, object] = {
        "found": found,
        "incident": found.row.incident,
        "lead": lead,
        "window": PastIncident.of(found.row, timezone.now()),
        "is_snoozed": found.row.incident.is_snoozed(timezone.now()),
        "events": incident_timeline(found, changes_around(lead, slugs, now)),
        "origins": origins.origins(lead, slugs, now),
        "failing": failing.failing(lead, slugs, now),
        "records": failing.example_records(lead, slugs, now),
        "refusals": failing.refusals(lead, slugs, now),
        "behind": traces.behind(lead, slugs, now),
        "escalations": [] if found.row.incident.is_mixed else escalation_rows(found.row.incident),
        "duties": duties(slugs, timezone.now()),
        "steps": write_up.ticked_steps(runbook.version.text, found.events) if runbook else [],
        "alike": write_up.incidents_alike(found.row.incident, slugs),
        "owners": owners_of(found),
        "severities": Severity.choices,
        "snoozes": SNOOZES,
        "silence_matchers": ", ".join(map(str, found.matchers)),
        "route_labels": ", ".join(map(str, found.labels)),
        "runbook": runbook,
        "runbook_html": html.render(runbook.version.text) if runbook else "",
        "may_operate": may_operate,
        "may_act": may_operate and may_act_on(permissions.person_of(request), found.row.incident),
    }
    if context["may_act"] and not found.row.incident.closed_at:
        context["others"] = queries.others_open(found.row.incident, slugs)
    return render(request, "alerts/incident.html", context)


def runbook_of(found: queries.IncidentDetail) -> RunbookDetail | None:
    """The runbook of its first alert's rule."""
    runbook = found.row.lead.rule.runbook
    return runbook_detail(runbook.slug) if runbook else None


def owners_of(found: queries.IncidentDetail) -> list[User]:
    """Who can answer for it: members of the workspace that its first alert names, or everybody."""
    slug = found.row.lead.labels.get("workspace")
    workspace = Workspace.objects.filter(slug=slug).first() if slug else None
    return list(eligible(workspace)[:MAX_OWNERS])


@login_required
@require_GET
def export(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Its write-up as Markdown."""
    found = find(request, incident_id)
    runbook = runbook_of(found)
    slugs = permissions.scope_of(request.user, {}).slugs
    events = incident_timeline(found, changes_around(found.row.lead, slugs, timezone.now()))
    lines = [(event.at, f"**{event.strong}**{event.after} {event.detail}") for event in events]
    steps = write_up.ticked_steps(runbook.version.text, found.events) if runbook else []
    alike = write_up.incidents_alike(found.row.incident, slugs)
    disposition = f'attachment; filename="incident-{incident_id}.md"'
    text = write_up.write_up(found, lines, steps, alike)
    return HttpResponse(text, content_type="text/markdown; charset=utf-8", headers={"Content-Disposition": disposition})


@permissions.operator_required
@require_POST
def resolve(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Close it by hand."""
    incident = find_to_change(request, incident_id)
    outcome = request.POST.get("outcome", "")
    if not resolving.resolve(incident, outcome, by=permissions.person_of(request), now=timezone.now()):
        messages.warning(request, "It is over.")
    return redirect("incident", incident_id)


@permissions.operator_required
@require_POST
def merge(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Let another incident go on with its alerts."""
    source, into = find_to_change(request, incident_id), request.POST.get("into", "")
    if not into.isdecimal() or len(into) > 18:
        messages.warning(request, "Choose the incident that goes on.")
        return redirect("incident", incident_id)
    target = find_to_change(request, int(into))
    try:
        done = merging.merge(source, target, by=permissions.person_of(request), now=timezone.now())
    except actions.ActionError as error:
        messages.warning(request, str(error))
        return redirect("incident", incident_id)
    if not done:
        messages.warning(request, "One of them is over.")
    return redirect("incident", target.pk if done else incident_id)


@permissions.operator_required
@require_POST
def separate(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Undo its being merged."""
    incident = find_to_change(request, incident_id)
    if not merging.separate(incident, by=permissions.person_of(request), now=timezone.now()):
        messages.warning(request, "It is merged into none, or that one is over.")
    return redirect("incident", incident_id)


@permissions.operator_required
@require_POST
def own(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Say who answers for it."""
    incident = find_to_change(request, incident_id)
    chosen = request.POST.get("owner", "")
    known = {str(person.pk): person for person in owners_of(find(request, incident_id))}
    if chosen and chosen not in known:
        messages.warning(request, "Choose somebody who can see it.")
    else:
        actions.set_owner(incident, known.get(chosen), by=permissions.person_of(request), now=timezone.now())
    return redirect("incident", incident_id)


@permissions.operator_required
@require_POST
def raise_severity(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Make it worse than its alerts say."""
    incident = find_to_change(request, incident_id)
    wanted = request.POST.get("severity", "")
    try:
        if not actions.raise_severity(incident, wanted, by=permissions.person_of(request), now=timezone.now()):
            messages.warning(request, "It is over.")
    except actions.ActionError as error:
        messages.warning(request, str(error))
    return redirect("incident", incident_id)


@permissions.operator_required
@require_POST
def tick(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Say that a step of the runbook was done, or was not."""
    incident = find_to_write(request, incident_id)
    runbook = runbook_of(find(request, incident_id))
    step = request.POST.get("step", "")
    if runbook is None or step not in write_up.steps_of(runbook.version.text):
        messages.warning(request, "The runbook has no such step any more.")
    else:
        done = request.POST.get("done") == "1"
        actions.tick(incident, step, done=done, by=permissions.person_of(request), now=timezone.now())
    return redirect("incident", incident_id)


@permissions.operator_required
@require_POST
def take(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Acknowledge it."""
    incident = find_to_change(request, incident_id)
    if not actions.acknowledge(incident, by=permissions.person_of(request), now=timezone.now()):
        messages.warning(request, OVER)
    return redirect("incident", incident_id)


@permissions.operator_required
@require_POST
def give_back(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Undo that."""
    incident = find_to_change(request, incident_id)
    if not actions.unacknowledge(incident, by=permissions.person_of(request), now=timezone.now()):
        messages.warning(request, "Nobody has it, or it is over.")
    return redirect("incident", incident_id)


@permissions.operator_required
@require_POST
def snooze(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Be quiet about it for a while."""
    incident = find_to_change(request, incident_id)
    hours = {name: hours for name, _, hours in SNOOZES}.get(request.POST.get("for", ""))
    if hours is None:
        messages.warning(request, "Choose for how long.")
    elif not actions.snooze(incident, dt.timedelta(hours=hours), by=permissions.person_of(request), now=timezone.now()):
        messages.warning(request, "It is over.")
    return redirect("incident", incident_id)


@permissions.operator_required
@require_POST
def comment(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Write something down."""
    incident = find_to_write(request, incident_id)
    try:
        actions.comment(incident, request.POST.get("text", ""), by=permissions.person_of(request), now=timezone.now())
    except actions.ActionError as error:
        messages.warning(request, str(error))
    return redirect("incident", incident_id)
