"""Send data: how does my application's usage get here, and is it understood?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from core.accounts import permissions
from core.accounts.keys import create_key
from telemetry.send_data.arrivals import arrivals
from telemetry.send_data.clients import BY_SLUG, CLIENTS, Client

PLACEHOLDER = "YOUR_API_KEY"
LONGEST_WAIT = timedelta(hours=6)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """The snippet of a client; a POST makes a key for it, which is in the answer's snippet and nowhere else."""
    client = client_of(request)
    if request.method == "GET":
        return render(request, "telemetry/send_data.html", context(request, client))
    workspace = permissions.operated(request.user).filter(slug=request.POST.get("workspace", "")).first()
    if workspace is None:
        raise PermissionDenied("A key is made by an operator of its workspace.")
    person = permissions.person_of(request)
    _, plaintext = create_key(client.name, workspace, ["ingest"], created_by=person)
    return render(request, "telemetry/send_data.html", context(request, client, plaintext), status=201)


@login_required
@never_cache
@require_GET
def arrived(request: HttpRequest) -> HttpResponse:
    """What arrived since the reader began to wait; the page asks again and again."""
    return render(request, "telemetry/_arrivals.html", waiting(request))


def client_of(request: HttpRequest) -> Client:
    """The client that the URL names, by default the first."""
    client = BY_SLUG.get(request.GET.get("client", CLIENTS[0].slug))
    if client is None:
        raise Http404("There is no snippet for such a client.")
    return client


def context(request: HttpRequest, client: Client, plaintext: str = "") -> dict[str, Any]:
    """What the page shows."""
    return {
        "clients": CLIENTS,
        "client": client,
        "snippet": client.snippet(request.build_absolute_uri("/").rstrip("/"), plaintext or PLACEHOLDER),
        "plaintext": plaintext,
        "operated": permissions.operated(request.user).order_by("slug"),
        **waiting(request),
    }


def waiting(request: HttpRequest) -> dict[str, Any]:
    """Since when the reader waits (`since`, of the URL), and what arrived meanwhile."""
    now = timezone.now()
    try:
        since = datetime.fromtimestamp(float(request.GET.get("since", "")), UTC)
    except (ValueError, OverflowError, OSError):
        since = now
    scope = permissions.scope_of(request.user, request.GET)
    since = min(max(since, now - LONGEST_WAIT), now)
    return {"since": since.timestamp(), "since_at": since, "arrivals": arrivals(scope.slugs, since), "scope": scope}
