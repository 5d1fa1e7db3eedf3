"""What a new rule begins with: a copy of another one, a template, or a query from elsewhere, such as a panel's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

import promql
from alerts.models import Rule, RuleGroup
from alerts.pages.rules.trial import likely_threshold
from alerts.rules.expression import PLACEHOLDER
from alerts.rules.form import initial_of
from alerts.rules.rule_templates import TEMPLATES, recognise_measured
from alerts.rules.template_form import TemplateForm, template_form
from core.accounts import ownership, permissions
from promql.syntax import Binary

LONGEST_QUERY = 20_000
SET_OPERATORS = ("and", "or", "unless")


@dataclass(frozen=True)
class Beginning:
    """The fields that the form of a new rule shows at first, and the blanks of its template."""

    initial: dict[str, Any]
    blanks: TemplateForm | None = None

    @property
    def draft(self) -> Rule | None:
        """The rule as it is at first, not stored, to show its past; None without a query."""
        given = self.initial
        if not given.get("expr"):
            return None
        names = ("name", "title", "expr", "unit", "severity", "for_seconds")
        return Rule(
            **{name: given[name] for name in names if name in given},
            threshold=float(given["threshold"]) if given.get("threshold") else None,
            annotations={"summary": given.get("summary", "")},
        )


def beginning_of(request: HttpRequest) -> Beginning:
    """As the URL says: `copy` a rule, `template` with values of its blanks, or `expr` with `title` and `unit`, and with
    `suggest` a likely threshold. Raises Http404 for a stranger to the copied rule."""
    usual: dict[str, Any] = {"severity": "warning", "for_seconds": 300, "expr": ""}
    if request.method == "POST":
        return Beginning(usual, template_form(request.POST, ""))
    if (copied := copied_rule(request)) is not None:
        return Beginning({**usual, **of_copy(copied, is_shadow="shadow" in request.GET)})
    template, values = request.GET.get("template", ""), request.GET
    expr = request.GET.get("expr", "")[:LONGEST_QUERY]
    known = recognise_measured(expr) if expr else None
    if known is not None:
        begun = of_template(known[0].slug, known[1])
    elif template in TEMPLATES:
        blanks = {
            one.name: values[one.name] for one in TEMPLATES[template].blanks if one.takes(values.get(one.name, ""))
        }
        begun = of_template(template, blanks)
    elif expr:
        title, unit = request.GET.get("title", "")[:200], request.GET.get("unit", "")[:40]
        begun = Beginning({**usual, "expr": with_threshold(expr), "title": title, "unit": unit})
    else:
        return Beginning(usual)
    owner = permissions.operated(request.user).filter(slug=request.GET.get("workspace", "")).first()
    if owner is not None:
        begun.initial["workspace"] = owner
    if "suggest" in request.GET and (draft := begun.draft) is not None:
        scope = permissions.scope_of(request.user, {}).slugs
        found = likely_threshold(draft, scope if owner is None else {owner.slug})
        if found is not None:
            begun.initial["threshold"] = f"{found:.15g}"
    if PLACEHOLDER in begun.initial["expr"]:
        begun.initial.setdefault("threshold", "0")
    return begun


def of_copy(copied: Rule, *, is_shadow: bool) -> dict[str, Any]:
    """All of another rule, under a name of its own."""
    return {
        **initial_of(copied),
        "thresholds": copied.thresholds,
        "record": copied.record,
        "name": free_name(f"{copied.name} {'shadow' if is_shadow else 'copy'}"),
        "shadow": is_shadow,
        "group": copied.group,
        "workspace": copied.workspace_id,
    }


def of_template(slug: str, values: dict[str, str]) -> Beginning:
    """A template with these values in its blanks."""
    blanks = TemplateForm(TEMPLATES[slug], values=values)
    template = blanks.template
    initial = template.initial({**template.defaults(), **values})
    return Beginning({**initial, "name": free_name(template.name), "group": RuleGroup.objects.first()}, blanks)


def with_threshold(expr: str) -> str:
    """The query, compared with the threshold where it compares nothing yet; as it is where it cannot be read."""
    if PLACEHOLDER in expr:
        return expr
    try:
        query = promql.parse(expr)
    except promql.ParseError:
        return expr
    if query.type != "vector" or promql.split_condition(query.expr) is not None:
        return expr
    is_set = isinstance(query.expr, Binary) and query.expr.op in SET_OPERATORS
    return f"({expr}) > {PLACEHOLDER}" if is_set else f"{expr} > {PLACEHOLDER}"


def copied_rule(request: HttpRequest) -> Rule | None:
    """The rule that `copy` in the URL names, to begin a new one with; None without. Raises Http404 for a stranger to
    it."""
    chosen = request.GET.get("copy", "")
    if not chosen:
        return None
    visible = Rule.objects.filter(ownership.owned(permissions.scope_of(request.user, {}).slugs), external=False)
    number = int(chosen) if chosen.isascii() and chosen.isdigit() else 0
    return get_object_or_404(visible.select_related("group"), pk=number)


def free_name(name: str) -> str:
    """The name, with a number where it is taken."""
    taken = set(Rule.objects.filter(name__startswith=name).values_list("name", flat=True))
    return next(one for one in (name, *(f"{name}{number}" for number in range(2, 10_000))) if one not in taken)
