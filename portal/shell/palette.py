"""The command palette: what the reader can go to by name besides the pages: models, tools, rules, runbooks,
workspaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, JsonResponse
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_GET

import alerts.queries
from core.accounts import permissions
from usage.boards import queries

MAX_SHOWN = 500


def _places(url_name: str, names: Sequence[tuple[str, Mapping[str, object], str]], note: str) -> list[dict[str, str]]:
    """Entries of one sort, of (text, arguments of the URL, query); empty where the page does not exist."""
    found = []
    for text, arguments, query in names[:MAX_SHOWN]:
        try:
            url = reverse(url_name, kwargs=dict(arguments))
        except NoReverseMatch:
            return []
        found.append({"text": text, "note": note, "href": f"{url}?{query}" if query else url})
    return found


@login_required
@require_GET
def places(request: HttpRequest) -> JsonResponse:
    """The list for the palette, of what the reader may see."""
    scope = permissions.scope_of(request.user, {})
    models = sorted(queries.label_values("llm_call", "model", scope.slugs))
    tools = sorted(queries.label_values("tool_call", "tool_name", scope.slugs))
    rules = [(rule.title or rule.name, {"rule_id": rule.pk}, "") for rule in alerts.queries.rule_list(scope.slugs)]
    runbooks = [(one.title, {"slug": one.slug}, "") for one in alerts.queries.runbook_list(scope.slugs)]
    found = [
        *_places("rule", rules, "rule"),
        *_places("runbook", runbooks, "runbook"),
        *_places("providers", [(name, {}, "") for name in models], "model"),
        *_places("tools", [(name, {}, "") for name in tools], "tool"),
        *_places("overview", [(slug, {}, urlencode({"workspace": slug})) for slug in scope.choices], "workspace"),
    ]
    return JsonResponse(found, safe=False)
