"""Pages of rules: what each would have done, and the form that tunes it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alerts import queries
from alerts.models import Rule, RuleChange, RuleGroup
from alerts.pages.rules.beginning import beginning_of
from alerts.pages.rules.trial import SPANS, Asked, Shown, past_incidents, readable, try_out
from alerts.rules import edits, rule_history
from alerts.rules.expression import ExpressionError
from alerts.rules.form import RuleForm
from alerts.rules.queries import GROUPINGS, Section, empty_groups, rule_page
from alerts.rules.rule_templates import TEMPLATES, recognise
from alerts.rules.template_form import USED, TemplateForm, template_form, with_query
from core.accounts import ownership, permissions
from core.api.editions import Outdated, editing
from core.heavy import heavy
from core.ui.htmx import is_partial
from usage.boards.queries import label_sets

MANY_LABEL_SETS = 1_000  # from here on a page comes before the past that it shows
PAUSES = {"1h": ("1 hour", 1), "8h": ("8 hours", 8), "24h": ("a day", 24), "168h": ("a week", 168)}


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Every rule with its state."""
    return render(request, "alerts/rules.html", list_context(request))


def list_context(request: HttpRequest) -> dict[str, Any]:
    """A page of the rules under their headings; for those who may change groups also the groups that have none yet."""
    found = rule_page(permissions.scope_of(request.user, {}).slugs, request.GET)
    sections = [*found.sections]
    now, changer = timezone.now(), ownership.changer_of(request.user)
    may_change_groups = changer.may(None)
    if may_change_groups and found.by == "group" and not found.is_filtered and found.page.following is None:
        sections += [Section(group.name, [], group) for group in empty_groups()]
    return {
        "found": found,
        "sections": sections,
        "groupings": [*GROUPINGS],
        "changer": changer,
        "may_operate": permissions.may_operate(request.user),
        "may_change_groups": may_change_groups,
        "now": now,
        "stalled": queries.stalled_groups(now),
    }


def find_to_change(request: HttpRequest, rule_id: int) -> Rule:
    """The rule. Raises Http404 for a stranger to it, PermissionDenied where the person may not change it."""
    visible = ownership.owned(permissions.scope_of(request.user, {}).slugs)
    rule = get_object_or_404(Rule.objects.filter(visible).select_related("group", "workspace"), pk=rule_id)
    ownership.changer_of(request.user).require(rule.workspace_id)
    return rule


@permissions.operator_required
@require_POST
def enable(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Switch a rule on or off, pause or resume it; `to` is the choice."""
    rule, now, by = find_to_change(request, rule_id), timezone.now(), permissions.person_of(request)
    to = request.POST.get("to", "")
    if to in ("on", "off"):
        edits.set_enabled(rule, to == "on", by=by, now=now)
    elif to == "resume":
        edits.resume(rule, by=by, now=now)
    elif to in PAUSES:
        edits.pause(rule, now + dt.timedelta(hours=PAUSES[to][1]), by=by, now=now)
    else:
        messages.error(request, "Choose on, off, resume or a time to pause.")
    if request.headers.get("HX-Target") == "rules":
        return render(request, "alerts/_rules.html", list_context(request))
    return redirect("rule", rule.pk)


@heavy
@login_required
@require_http_methods(["GET", "POST"])
def detail(request: HttpRequest, rule_id: int) -> HttpResponse:
    """A rule: its form, and what it would have done. A POST saves; with `preview` it only
    shows what the typed rule would have done."""
    try:
        found = queries.rule_detail(rule_id, permissions.scope_of(request.user, {}).slugs, now=timezone.now())
    except Rule.DoesNotExist:
        raise Http404("No such rule.") from None
    blanks = template_form(request.POST or None, request.GET.get("view", ""), found.rule.expr)
    data = with_query(request.POST, blanks) if request.method == "POST" else None
    form = RuleForm(data, rule=found.rule, user=request.user)
    if request.method == "POST" and is_saved(request, blanks):
        ownership.changer_of(request.user).require(found.rule.workspace_id)
        if save(request, form, found.rule):
            return redirect(request.get_full_path())
    context = {
        **editor(request, form, found.rule.group, found.rule, blanks),
        "is_template": recognise(found.rule.expr) is not None,
        "found": found,
        "rule": found.rule,
        "pauses": [(name, label) for name, (label, _) in PAUSES.items()],
        "is_paused": found.rule.is_paused(timezone.now()),
    }
    if is_partial(request) and "preview" in request.POST:
        return render(request, "alerts/_backtest.html", context)
    return render(request, "alerts/rule.html", context, status=422 if form.is_bound and form.errors else 200)


def save(request: HttpRequest, form: RuleForm, rule: Rule) -> bool:
    """Store the edit of the form; False leaves its errors in it."""
    if not form.is_valid():
        return False
    try:
        with editing(rule, request.POST.get("edition", "")):
            change = edits.update_rule(
                rule,
                form.edit,
                by=permissions.person_of(request),
                now=timezone.now(),
                channels=form.cleaned_data["channels"],
            )
    except edits.RuleError as error:
        add_errors(form, error)
        return False
    except Outdated as outdated:
        form.add_error(None, str(outdated))
        return False
    messages.success(request, f"Saved as version {change.version}." if change else "Nothing was changed.")
    return True


def add_errors(form: RuleForm, error: edits.RuleError) -> None:
    """Each error under its field, or over the form."""
    for name, text in error.errors.items():
        form.add_error(name if name in form.fields else None, text)


def editor(
    request: HttpRequest,
    form: RuleForm,
    group: RuleGroup | None,
    rule: Rule | None = None,
    blanks: TemplateForm | None = None,
) -> dict[str, Any]:
    """What the form and its backtest show. A rule that cannot be read draws nothing, and gives the reason.

    `blanks` is the form that stands in place of the query, where the rule is a template.
    """
    asked = Asked.of(request)
    scope = permissions.scope_of(request.user, {})
    shown = Shown()
    try:
        if form.is_bound and form.is_valid():
            shown = try_out(
                form.typed, group, asked, readable(form.typed, scope.slugs), rule if rule and rule.pk else None
            )
        elif not form.is_bound and rule is not None and label_sets() >= MANY_LABEL_SETS:
            shown = Shown(is_deferred=True)
        elif not form.is_bound and rule is not None:
            shown = try_out(rule, group, asked, readable(rule, scope.slugs))
    except ExpressionError as error:
        shown = Shown(error=str(error))
    return {
        "form": form,
        "blanks": blanks,
        "query": form["expr"].value() if blanks is not None else "",
        "shown": shown,
        "span": asked.span,
        "span_label": SPANS[asked.span][0],
        "asked": asked,
        "incidents": past_incidents(scope.slugs, timezone.now()),
        "spans": [(key, label) for key, (label, _) in SPANS.items()],
        "unit": form["unit"].value() or "",
        "threshold_label": threshold_label(form, shown),
        "scope": scope,
        "may_operate": may_change(request, rule),
    }


def may_change(request: HttpRequest, rule: Rule | None) -> bool:
    """Whether the person may change the rule, or make one where it is None or not stored."""
    if rule is None or rule.pk is None:
        return permissions.may_operate(request.user)
    return ownership.changer_of(request.user).may(rule.workspace_id)


def threshold_label(form: RuleForm, shown: Shown) -> str:
    """What the threshold means, with its unit: "Fires above, %"."""
    comparison = shown.test.comparison if shown.test else None
    verbs = {">": "Fires above", ">=": "Fires from", "<": "Fires below", "<=": "Fires at or below"}
    verb = verbs.get(comparison.operator, "Threshold") if comparison else "Threshold"
    unit = form["threshold_unit"].value() or form["unit"].value()
    return f"{verb}, {unit}" if unit else verb


@heavy
@permissions.operator_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A new rule, begun with what the URL says."""
    begun = beginning_of(request)
    blanks = begun.blanks
    data = with_query(request.POST, blanks) if request.method == "POST" else None
    is_draft = request.method == "POST" and not is_saved(request, blanks)
    form = RuleForm(data, initial=begun.initial, is_draft=is_draft, user=request.user)
    group = form.cleaned_data.get("group") if form.is_bound and form.is_valid() else None
    if request.method == "POST" and not is_draft and form.is_valid():
        given = form.cleaned_data
        try:
            rule = edits.create_rule(
                given["group"],
                given["name"].strip(),
                form.edit,
                by=permissions.person_of(request),
                now=timezone.now(),
                channels=given["channels"],
                workspace=given["workspace"],
            )
        except edits.RuleError as error:
            add_errors(form, error)
        else:
            messages.success(request, f"{rule.name} was created; it is evaluated from now on.")
            return redirect("rule", rule.pk)
    context = {**editor(request, form, group, begun.draft, blanks), "templates": TEMPLATES.values()}
    if is_partial(request) and "preview" in request.POST:
        return render(request, "alerts/_backtest.html", context)
    return render(request, "alerts/rule.html", context, status=422 if form.is_bound and form.errors else 200)


def is_saved(request: HttpRequest, blanks: TemplateForm | None) -> bool:
    """Whether what was posted is to be stored: not where it is only tried, and not with a blank that is wrong."""
    only_tried = not {"preview", *USED}.isdisjoint(request.POST)
    return not only_tried and (blanks is None or blanks.is_valid())


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Ask, then remove the rule and its alerts."""
    rule = find_to_change(request, rule_id)
    if request.method == "POST":
        count = rule_history.delete_rule(rule)
        messages.success(request, f"{rule.name} was deleted, with {count} alerts.")
        return redirect("rules")
    return render(request, "alerts/rule_delete.html", {"rule": rule, "alerts": rule.alerts.count()})


@permissions.operator_required
@require_POST
def undo(request: HttpRequest, rule_id: int, version: int) -> HttpResponse:
    """Take one edit back."""
    find_to_change(request, rule_id)
    change = get_object_or_404(RuleChange.objects.select_related("rule"), rule_id=rule_id, version=version)
    try:
        done = rule_history.undo(change, by=permissions.person_of(request), now=timezone.now())
    except edits.RuleError as error:
        messages.error(request, f"Version {version} cannot be undone: {error}.")
    else:
        messages.success(
            request, f"Version {version} was undone; this is version {done.version}." if done else "Nothing to undo."
        )
    return redirect("rule", rule_id)
