"""Pages of on-call schedules, escalation policies, and one's own means of being notified."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alerts.models import Channel
from alerts.notify.channels import send_test
from alerts.notify.transports.contract import ConfigInvalid
from alerts.oncall import calendars, forms, means, policies, queries, schedules
from alerts.oncall.models import EscalationPolicy, Schedule
from alerts.pages.forms import ChannelForm
from core.accounts import ownership, permissions
from core.api.editions import Outdated, editing
from core.ui import durations

SHOWN = dt.timedelta(days=28)
FEED = dt.timedelta(days=90)


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Who is on call now, the schedules, and the policies."""
    slugs = permissions.scope_of(request.user, {}).slugs
    policies = queries.policies_of(slugs)
    names = queries.names_of_targets(one for policy in policies for step in policy.steps for one in step["targets"])
    context = {
        "duties": queries.duties(slugs, timezone.now()),
        "policies": [(policy, step_lines(policy.steps, names)) for policy in policies],
        "may_operate": permissions.may_operate(request.user),
        "changer": ownership.changer_of(request.user),
    }
    return render(request, "alerts/oncall/page.html", context)


def step_lines(steps: list[dict[str, Any]], names: dict[str, str]) -> list[tuple[str, str, str]]:
    """Steps as people read them: when, whom, for which severities."""
    lines = []
    for number, step in enumerate(steps):
        delay = step["delay_seconds"]
        when = f"after {durations.format_long(delay)}" if delay else "at once"
        if number and delay:
            when += " without acknowledgement"
        targets = ", ".join(queries.called_targets(step["targets"], names))
        lines.append((when, targets, ", ".join(step["severities"])))
    return lines


def find(request: HttpRequest, schedule_id: int, *, to_change: bool = False) -> Schedule:
    """The schedule. Raises Http404 for a stranger to it, PermissionDenied where it is
    `to_change` and the person may not."""
    visible = ownership.owned(permissions.scope_of(request.user, {}).slugs)
    schedule = get_object_or_404(Schedule.objects.filter(visible).select_related("workspace"), pk=schedule_id)
    if to_change:
        ownership.changer_of(request.user).require(schedule.workspace_id)
    return schedule


@login_required
@require_GET
def detail(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """One schedule: who is on call over the next weeks, and why."""
    return show(request, find(request, schedule_id))


def show(request: HttpRequest, schedule: Schedule, status: int = 200, **given: Any) -> HttpResponse:
    """The schedule's page, with a form that was not taken."""
    now = timezone.now()
    people = queries.accounts()
    ready = queries.schedules_by_id([schedule.pk])[schedule.pk]
    rows = [
        (shift, ", ".join(queries.name_of(people[pk]) for pk in shift.people))
        for shift in queries.shifts_of(ready, people, now, now + SHOWN)
    ]
    rotations = [
        (rotation, ", ".join(queries.name_of(people[pk]) for pk in rotation.people if pk in people), days_of(rotation))
        for rotation in reversed(ready.rotations.all())
    ]
    eligible = schedules.eligible(schedule.workspace)
    known = queries.called(people.values())
    may_change = ownership.changer_of(request.user).may(schedule.workspace_id)
    feed = f"{settings.PORTAL.public_url}/on-call/calendars/{schedules.feed_token(schedule)}.ics"
    context = {
        "schedule": schedule,
        "duty": queries.duty(ready, people, now),
        "shifts": rows,
        "rotations": rotations,
        "overrides": [one for one in ready.overrides.all() if one.ends_at > now],
        "unknown": calendars.unknown_names(schedule.calendar, known) if schedule.calendar else [],
        "feed": feed,
        "may_change": may_change,
        "rotation_form": forms.RotationForm(eligible=eligible, initial={"first_day": now.date()}),
        "override_form": forms.OverrideForm(schedule=schedule, eligible=eligible),
        **given,
    }
    return render(request, "alerts/oncall/schedule.html", context, status=status)


def days_of(rotation: Any) -> str:
    """When a rotation holds, in a line."""
    parts = [f"{rotation.shift_days} days each, handover {rotation.handover:%H:%M}"]
    if rotation.weekdays:
        parts.append(", ".join(dict(forms.WEEKDAYS)[str(day)] for day in rotation.weekdays))
    if rotation.begins or rotation.ends:
        parts.append(f"{rotation.begins or dt.time():%H:%M} to {rotation.ends or dt.time():%H:%M}")
    return " · ".join(parts)


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A new schedule."""
    form = forms.ScheduleForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        schedule = Schedule(workspace=form.cleaned_data.pop("workspace"))
        if saved(form, schedule):
            return redirect("schedule", schedule.pk)
    context = {"form": form}
    return render(request, "alerts/oncall/schedule_edit.html", context, status=422 if form.errors else 200)


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Name, zone and calendar of a schedule."""
    schedule = find(request, schedule_id, to_change=True)
    form = forms.ScheduleForm(request.POST or None, user=request.user, schedule=schedule)
    if request.method == "POST" and form.is_valid():
        try:
            with editing(schedule, request.POST.get("edition", "")):
                if saved(form, schedule):
                    return redirect("schedule", schedule.pk)
        except Outdated as outdated:
            form.add_error(None, str(outdated))
    context = {"form": form, "schedule": schedule}
    return render(request, "alerts/oncall/schedule_edit.html", context, status=422 if form.errors else 200)


def saved(form: forms.ScheduleForm, schedule: Schedule) -> bool:
    """Save what was typed; False with the problem at its field."""
    try:
        names = ("name", "time_zone", "calendar")
        schedules.save_schedule(schedule, **{name: form.cleaned_data[name] for name in names})
    except schedules.ScheduleError as error:
        form.add_error(error.field or None, str(error))
        return False
    return True


@permissions.operator_required
@require_POST
def delete(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Remove a schedule."""
    schedule = find(request, schedule_id, to_change=True)
    try:
        schedules.delete_schedule(schedule)
    except schedules.ScheduleError as error:
        messages.warning(request, str(error))
        return redirect("schedule", schedule_id)
    messages.success(request, f"{schedule.name} was removed.")
    return redirect("on-call")


@permissions.operator_required
@require_POST
def rotation_add(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Add a rotation."""
    schedule = find(request, schedule_id, to_change=True)
    form = forms.RotationForm(request.POST, eligible=schedules.eligible(schedule.workspace))
    if form.is_valid():
        given = dict(form.cleaned_data)
        try:
            schedules.add_rotation(schedule, given.pop("people"), **given)
        except schedules.ScheduleError as error:
            form.add_error(error.field or None, str(error))
        else:
            return redirect("schedule", schedule.pk)
    return show(request, schedule, 422, rotation_form=form)


@permissions.operator_required
@require_POST
def rotation_remove(request: HttpRequest, schedule_id: int, rotation_id: int) -> HttpResponse:
    """Take a rotation out."""
    schedule = find(request, schedule_id, to_change=True)
    schedules.remove_rotation(get_object_or_404(schedule.rotations, pk=rotation_id))
    return redirect("schedule", schedule.pk)


@permissions.operator_required
@require_POST
def override_add(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Put somebody on call for a while."""
    schedule = find(request, schedule_id, to_change=True)
    form = forms.OverrideForm(request.POST, schedule=schedule, eligible=schedules.eligible(schedule.workspace))
    if form.is_valid():
        try:
            person = form.cleaned_data["person"]
            schedules.add_override(schedule, person, form.moment("starts_at"), form.moment("ends_at"))
        except schedules.ScheduleError as error:
            form.add_error(error.field or None, str(error))
        else:
            return redirect("schedule", schedule.pk)
    return show(request, schedule, 422, override_form=form)


@permissions.operator_required
@require_POST
def override_remove(request: HttpRequest, schedule_id: int, override_id: int) -> HttpResponse:
    """Take an override back."""
    schedule = find(request, schedule_id, to_change=True)
    schedules.remove_override(get_object_or_404(schedule.overrides, pk=override_id))
    return redirect("schedule", schedule.pk)


@permissions.operator_required
@require_POST
def feed_renew(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Give the calendar another address."""
    schedules.renew_feed(find(request, schedule_id, to_change=True))
    return redirect("schedule", schedule_id)


@require_GET
def feed(request: HttpRequest, token: str) -> HttpResponse:
    """The shifts of the next three months as a calendar, for who knows its address: calendars cannot log in."""
    schedule = schedules.schedule_of_feed(token)
    if schedule is None:
        raise Http404("No such calendar.")
    now = timezone.now()
    people = queries.accounts()
    ready = queries.schedules_by_id([schedule.pk])[schedule.pk]
    shifts = queries.shifts_of(ready, people, now, now + FEED)
    text = calendars.write_calendar(
        schedule.name,
        f"{settings.PORTAL.public_url}/on-call/schedules/{schedule.pk}/",
        shifts,
        {pk: (queries.name_of(person), person.email) for pk, person in people.items()},
    )
    return HttpResponse(text, content_type="text/calendar; charset=utf-8")


def find_policy(request: HttpRequest, policy_id: int) -> EscalationPolicy:
    """The policy, to change it. Raises Http404 for a stranger to it, PermissionDenied for who may not."""
    visible = ownership.owned(permissions.scope_of(request.user, {}).slugs)
    policy = get_object_or_404(EscalationPolicy.objects.filter(visible).select_related("workspace"), pk=policy_id)
    ownership.changer_of(request.user).require(policy.workspace_id)
    return policy


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def policy_new(request: HttpRequest) -> HttpResponse:
    """A new policy."""
    policy = EscalationPolicy()
    if not ownership.changer_of(request.user).portal:
        policy.workspace = permissions.operated(request.user).first()
    form = forms.PolicyForm(request.POST or None, user=request.user, policy=policy, is_new=True)
    if request.method == "POST" and form.is_valid():
        policy.workspace = form.owner
        if policy_saved(form, policy):
            return redirect("on-call")
    context = {"form": form}
    return render(request, "alerts/oncall/policy_edit.html", context, status=422 if form.errors else 200)


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def policy_edit(request: HttpRequest, policy_id: int) -> HttpResponse:
    """Change a policy."""
    policy = find_policy(request, policy_id)
    form = forms.PolicyForm(request.POST or None, user=request.user, policy=policy, is_new=False)
    if request.method == "POST" and form.is_valid():
        try:
            with editing(policy, request.POST.get("edition", "")):
                done = policy_saved(form, policy)
        except Outdated as outdated:
            form.add_error(None, str(outdated))
        else:
            if done:
                return redirect("on-call")
    context = {"form": form, "policy": EscalationPolicy.objects.get(pk=policy_id)}
    return render(request, "alerts/oncall/policy_edit.html", context, status=422 if form.errors else 200)


def policy_saved(form: forms.PolicyForm, policy: EscalationPolicy) -> bool:
    """Save what was chosen; False with the problem at its field."""
    try:
        policies.save_policy(policy, form.chosen)
    except policies.PolicyError as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
        return False
    return True


@permissions.operator_required
@require_POST
def policy_delete(request: HttpRequest, policy_id: int) -> HttpResponse:
    """Remove a policy."""
    policy = find_policy(request, policy_id)
    try:
        policies.delete_policy(policy)
    except policies.PolicyError as error:
        messages.warning(request, str(error))
        return redirect("on-call")
    messages.success(request, f"{policy.name} was removed.")
    return redirect("on-call")


@login_required
@require_GET
def my_means(request: HttpRequest) -> HttpResponse:
    """How the reader is notified when an escalation comes to them."""
    person = permissions.person_of(request)
    context = {
        "means": means.own_means().filter(person=person).order_by("delay_seconds", "id"),
        "kinds": Channel.Kind.choices,
        "mail": person.email,
    }
    return render(request, "alerts/oncall/means.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def means_new(request: HttpRequest, kind: str) -> HttpResponse:
    """Another way to reach the reader."""
    if kind not in Channel.Kind.values:
        raise Http404("No such kind of channel.")
    form = ChannelForm(request.POST or None, kind=kind, user=request.user)
    when = forms.MeansForm(request.POST or None)
    for name in ("name", "workspace", "enabled", "send_resolved"):
        del form.fields[name]
    if request.method == "POST" and form.is_valid() and when.is_valid():
        delay = when.cleaned_data["delay_seconds"]
        try:
            means.add_means(
                permissions.person_of(request),
                kind,
                form.config or {},
                delay_seconds=delay,
                severities=form.cleaned_data["severities"],
                rate_limit=form.cleaned_data["rate_limit"],
                rate_seconds=form.cleaned_data["rate_seconds"] or 600,
            )
        except ConfigInvalid as error:
            form.take_errors(error)
        else:
            return redirect("my-means")
    wrong = bool(form.errors or when.errors)
    context = {"form": form, "when": when, "kind": Channel.Kind(kind).label}
    return render(request, "alerts/oncall/means_new.html", context, status=422 if wrong else 200)


def my_channel(request: HttpRequest, channel_id: int) -> Channel:
    """One of the reader's own. Raises Http404."""
    return get_object_or_404(means.own_means().filter(person=permissions.person_of(request)), pk=channel_id)


@login_required
@require_POST
def means_remove(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Take one away."""
    means.remove_means(my_channel(request, channel_id))
    return redirect("my-means")


@login_required
@require_POST
def means_test(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Send a test message."""
    result = send_test(my_channel(request, channel_id), now=timezone.now())
    if result.ok:
        messages.success(request, f"The test message was taken: {result.reply or 'no reply'}")
    else:
        messages.error(request, f"The test message did not arrive: {result.error}")
    return redirect("my-means")
