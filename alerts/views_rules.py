"""Pages of rules: what each would have done, and the form that tunes it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alerts import figures, queries, rule_history, rules
from alerts.backtest import Backtest, backtest, step_of
from alerts.evaluate import milliseconds
from alerts.expression import ExpressionError, expand
from alerts.models import Rule, RuleChange, RuleGroup
from alerts.rule_form import RuleForm
from alerts.series import portal_source
from promql import PromQLError
from usage import access
from usage.queries import colour_slots
from usage.ranges import DAY

SPANS = {"24h": ("24 h", DAY), "7d": ("7 d", 7 * DAY)}
PAUSES = {"1h": ("1 hour", 1), "8h": ("8 hours", 8), "24h": ("a day", 24), "168h": ("a week", 168)}


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Every rule with its state."""
    return render(request, "alerts/rules.html", list_context(request))


def list_context(request: HttpRequest) -> dict[str, Any]:
    """The rules by group."""
    found = queries.rule_list()
    groups = [(group, list(members)) for group, members in groupby(found, key=lambda rule: rule.group)]
    return {"groups": groups, "may_operate": access.may_operate(request.user), "now": timezone.now()}


@access.operator_required
@require_POST
def enable(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Switch a rule on or off, pause or resume it; `to` says which."""
    rule, now, by = get_object_or_404(Rule, pk=rule_id), timezone.now(), access.person_of(request)
    to = request.POST.get("to", "")
    if to in ("on", "off"):
        rules.set_enabled(rule, to == "on", by=by, now=now)
    elif to == "resume":
        rules.resume(rule, by=by, now=now)
    elif to in PAUSES:
        rules.pause(rule, now + dt.timedelta(hours=PAUSES[to][1]), by=by, now=now)
    else:
        messages.error(request, "Choose on, off, resume or a time to pause.")
    if request.headers.get("HX-Target") == "rules":
        return render(request, "alerts/_rules.html", list_context(request))
    return redirect("rule", rule.pk)


@login_required
@require_http_methods(["GET", "POST"])
def detail(request: HttpRequest, rule_id: int) -> HttpResponse:
    """A rule: its form, and what it would have done. A POST saves; with `preview` it only shows what the typed rule would have done."""
    try:
        found = queries.rule_detail(rule_id, access.read(request.user, {}).slugs)
    except Rule.DoesNotExist:
        raise Http404("No such rule.") from None
    form = RuleForm(request.POST or None, rule=found.rule)
    if request.method == "POST" and "preview" not in request.POST:
        if not access.may_operate(request.user):
            raise PermissionDenied("Rules are changed by operators.")
        if save(request, form, found.rule):
            return redirect(request.get_full_path())
    context = {
        **editor(request, form, found.rule.group, found.rule),
        "found": found,
        "rule": found.rule,
        "pauses": [(name, words) for name, (words, _) in PAUSES.items()],
        "is_paused": found.rule.is_paused(timezone.now()),
    }
    if request.headers.get("HX-Request") and "preview" in request.POST:
        return render(request, "alerts/_backtest.html", context)
    return render(request, "alerts/rule.html", context, status=422 if form.is_bound and form.errors else 200)


def save(request: HttpRequest, form: RuleForm, rule: Rule) -> bool:
    """Store the edit of the form; False leaves its errors in it."""
    if not form.is_valid():
        return False
    try:
        change = rules.update_rule(
            rule, form.edit, by=access.person_of(request), now=timezone.now(), channels=form.cleaned_data["channels"]
        )
    except rules.RuleError as error:
        add_errors(form, error)
        return False
    messages.success(request, f"Saved as version {change.version}." if change else "Nothing was changed.")
    return True


def add_errors(form: RuleForm, error: rules.RuleError) -> None:
    """Each error under its field, or over the form."""
    for name, text in error.errors.items():
        form.add_error(name if name in form.fields else None, text)


@dataclass(frozen=True)
class Shown:
    """What a rule would have done, or why that cannot be said."""

    test: Backtest | None = None
    figure: figures.Figure | None = None
    rows: int = 0
    error: str = ""


def editor(request: HttpRequest, form: RuleForm, group: RuleGroup | None, rule: Rule | None = None) -> dict[str, Any]:
    """What the form and its backtest show. A rule that cannot be read draws nothing, and says why."""
    name = request.POST.get("span") or request.GET.get("span", "")
    name = name if name in SPANS else "24h"
    scope = access.read(request.user, {})
    shown = Shown()
    try:
        if form.is_bound and form.is_valid():
            shown = try_out(form.expanded, form.typed, group, name, scope.slugs)
        elif not form.is_bound and rule is not None:
            shown = try_out(expand(rule.expr, rule.threshold), rule, group, name, scope.slugs)
    except ExpressionError as error:
        shown = Shown(error=str(error))
    return {
        "form": form,
        "shown": shown,
        "span": name,
        "span_words": SPANS[name][0],
        "spans": [(key, words) for key, (words, _) in SPANS.items()],
        "unit": form["unit"].value() or "",
        "threshold_label": threshold_label(form, shown),
        "scope": scope,
        "may_operate": access.may_operate(request.user),
    }


def threshold_label(form: RuleForm, shown: Shown) -> str:
    """What the threshold means, with its unit: "Fires above, %"."""
    comparison = shown.test.comparison if shown.test else None
    verbs = {">": "Fires above", ">=": "Fires from", "<": "Fires below", "<=": "Fires at or below"}
    verb = verbs.get(comparison.operator, "Threshold") if comparison else "Threshold"
    unit = form["threshold_unit"].value() or form["unit"].value()
    return f"{verb}, {unit}" if unit else verb


def try_out(expr: str, rule: Rule, group: RuleGroup | None, span: str, workspaces: Collection[str] | None) -> Shown:
    """Evaluate over the past what the reader may see of it."""
    end = milliseconds(timezone.now())
    bounds = (end - SPANS[span][1], end)
    try:
        test = backtest(
            expr,
            portal_source(workspaces),
            span_ms=bounds,
            step_ms=step_of(SPANS[span][1], group.interval_seconds if group else 60),
            for_seconds=rule.for_seconds,
            keep_firing_seconds=rule.keep_firing_seconds,
        )
    except PromQLError as error:
        return Shown(error=str(error))
    drawn = figures.rule_figure(test, rule.unit, bounds, colour_slots("model"))
    return Shown(test, drawn, len(figures.state_rows(test)[0]))


@access.operator_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A new rule; `expr` in the URL is the query that it begins with."""
    initial = {"severity": "warning", "for_seconds": 300, "expr": request.GET.get("expr", "")}
    form = RuleForm(request.POST or None, initial=initial, is_draft="preview" in request.POST)
    group = form.cleaned_data.get("group") if form.is_bound and form.is_valid() else None
    if request.method == "POST" and "preview" not in request.POST and form.is_valid():
        given = form.cleaned_data
        try:
            rule = rules.create_rule(
                given["group"], given["name"].strip(), form.edit, by=access.person_of(request), now=timezone.now()
            )
            rules.update_rule(
                rule, rules.RuleEdit(), by=access.person_of(request), now=timezone.now(), channels=given["channels"]
            )
        except rules.RuleError as error:
            add_errors(form, error)
        else:
            messages.success(request, f"{rule.name} was created; it is evaluated from now on.")
            return redirect("rule", rule.pk)
    context = editor(request, form, group)
    if request.headers.get("HX-Request") and "preview" in request.POST:
        return render(request, "alerts/_backtest.html", context)
    return render(request, "alerts/rule.html", context, status=422 if form.is_bound and form.errors else 200)


@access.operator_required
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Ask, then remove the rule and its alerts."""
    rule = get_object_or_404(Rule.objects.select_related("group"), pk=rule_id)
    if request.method == "POST":
        count = rule_history.delete_rule(rule)
        messages.success(request, f"{rule.name} was deleted, with {count} alerts.")
        return redirect("rules")
    return render(request, "alerts/rule_delete.html", {"rule": rule, "alerts": rule.alerts.count()})


@access.operator_required
@require_POST
def undo(request: HttpRequest, rule_id: int, version: int) -> HttpResponse:
    """Take one edit back."""
    change = get_object_or_404(RuleChange.objects.select_related("rule"), rule_id=rule_id, version=version)
    try:
        done = rule_history.undo(change, by=access.person_of(request), now=timezone.now())
    except rules.RuleError as error:
        messages.error(request, f"Version {version} cannot be undone: {error}.")
    else:
        messages.success(
            request, f"Version {version} was undone; this is version {done.version}." if done else "Nothing to undo."
        )
    return redirect("rule", rule_id)
