"""The page of noise: which rules cost people most, and what would cost less."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from alerts.evaluation.series import portal_source
from alerts.incidents import noise
from alerts.incidents.policy import current_policy
from alerts.models import Rule
from alerts.rules.expression import ExpressionError
from core.accounts import permissions
from core.accounts.ownership import owned
from core.ui.htmx import is_partial
from promql import PromQLError


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """The rules that fired, those that interrupted most for nothing first."""
    slugs = permissions.scope_of(request.user, request.GET).slugs
    rows = noise.rule_costs(slugs, timezone.now())
    context = {"rows": rows, "messages_total": sum(row.messages for row in rows), "days": noise.SPAN.days}
    return render(request, "alerts/noise.html", context)


@login_required
@require_GET
def proposals(request: HttpRequest, rule_id: int) -> HttpResponse:
    """What would cost less, of one rule that the reader sees."""
    slugs, now = permissions.scope_of(request.user, request.GET).slugs, timezone.now()
    rule = get_object_or_404(Rule.objects.filter(owned(slugs)).select_related("group", "workspace"), pk=rule_id)
    if rule.external or rule.record:
        raise Http404("It has no query of its own that fires.")
    context: dict[str, object] = {"rule": rule, "found": [], "problem": ""}
    try:
        context["found"] = noise.proposals(rule, portal_source(slugs), current_policy(), slugs, now)
    except (ExpressionError, PromQLError) as error:
        context["problem"] = str(error)
    template = "alerts/_noise_proposals.html" if is_partial(request) else "alerts/noise_rule.html"
    return render(request, template, context)
