"""The addresses of the API. Reading needs a key with the scope `query`, sending alerts `ingest` or `admin`, silencing
`admin`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from uuid import UUID

import re2
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from alerts.alertmanager import present
from alerts.alertmanager.external import take_alerts
from alerts.alertmanager.parse import BadRequest, read_alerts, read_filters, read_json, read_silence
from alerts.incidents.access import visible_silences, workspace_of
from alerts.incidents.models import Silence
from alerts.incidents.muting import matchers_of
from alerts.incidents.policy import current_policy
from alerts.incidents.routing.branches import seen
from alerts.incidents.silences import LISTED, SilenceError, expire_silence, set_silence
from alerts.routing.configuration import RESOLVE_TIMEOUT
from alerts.routing.matchers import Matchers
from core.accounts import keys
from core.audit.origin import set_actor

STARTED = timezone.now()
READ, WRITE = ("query",), ("admin",)
View = Callable[..., HttpResponse]


def failed(status: int, text: str) -> JsonResponse:
    """Alertmanager's errors are a JSON string."""
    return JsonResponse(text, status=status, safe=False)


def for_keys(**scopes: tuple[str, ...]) -> Callable[[View], View]:
    """A view for API keys: per method the scopes of which the key needs one. `caller` is handed to it."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def guarded(request: HttpRequest, **parts: UUID) -> HttpResponse:
            wanted = scopes.get(str(request.method).replace("HEAD", "GET"))
            if wanted is None:
                return failed(405, "method not allowed")
            try:
                header = keys.as_bearer(request.headers.get("Authorization", ""))
                caller, retry_after = keys.authenticate(header, timezone.now())
            except keys.Refused as refused:
                answer = failed(401, str(refused))
                answer.headers["WWW-Authenticate"] = 'Basic realm="API key as password"'
                return answer
            except DatabaseError:
                return failed(503, "the database is away")
            if retry_after:
                return failed(429, "more requests than this key may send per minute")
            if caller.scopes.isdisjoint(wanted):
                return failed(403, f"this API key lacks the scope {' or '.join(wanted)}")
            set_actor(request, f"API key {caller.key_id}")
            try:
                return view(request, caller, **parts)
            except (BadRequest, SilenceError) as error:
                return failed(400, str(error))
            except RequestDataTooBig:
                return failed(413, "the body is too large")
            except PermissionDenied as error:
                return failed(403, str(error))

        return guarded

    return decorate


@for_keys(GET=READ, POST=("ingest", *WRITE))
def alerts(request: HttpRequest, caller: keys.Caller) -> HttpResponse:
    """The alerts that fire; or take alerts."""
    now = timezone.now()
    if request.method == "POST":
        configuration = current_policy().configuration
        timeout = configuration.resolve_timeout if configuration else RESOLVE_TIMEOUT
        posted, errors = read_alerts(read_json(request.body), now, _workspace(caller), timeout)
        take_alerts(posted, now)
        return failed(400, "; ".join(errors[:20])) if errors else HttpResponse()
    return JsonResponse(_listed(request, caller), safe=False)


@for_keys(GET=READ)
def alert_groups(request: HttpRequest, caller: keys.Caller) -> HttpResponse:
    """The open incidents."""
    return JsonResponse(present.groups(current_policy(), _listed(request, caller)), safe=False)


@for_keys(GET=READ)
def receivers(_: HttpRequest, caller: keys.Caller) -> HttpResponse:
    """The names of those that the caller sees."""
    configuration = current_policy().configuration
    names = list(seen(configuration, caller.workspaces).receivers) if configuration else ["portal"]
    return JsonResponse([{"name": name} for name in names], safe=False)


@for_keys(GET=READ)
def status(_: HttpRequest, caller: keys.Caller) -> HttpResponse:
    """The routing, and which API this is."""
    return JsonResponse(present.status(STARTED, caller.workspaces))


@for_keys(GET=READ, POST=WRITE)
def silences(request: HttpRequest, caller: keys.Caller) -> HttpResponse:
    """All silences; or a new or changed one."""
    now = timezone.now()
    if request.method == "POST":
        sent = read_silence(read_json(request.body))
        _require(caller, sent.matchers)
        if sent.id is not None and (old := Silence.objects.filter(pk=sent.id).first()) is not None:
            _require(caller, matchers_of(old))
        found = set_silence(
            sent.matchers,
            sent.starts_at,
            sent.ends_at,
            created_by=sent.created_by,
            comment=sent.comment,
            now=now,
            silence_id=sent.id,
        )
        return JsonResponse({"silenceID": str(found.pk)})
    filters = read_filters(request.GET.getlist("filter"))
    listed = visible_silences(Silence.objects.order_by("-ends_at", "pk")[:LISTED], caller.workspaces)
    rows = [present.silence(found, now) for found in listed if _has_filters(found, filters)]
    return JsonResponse(
        sorted(rows, key=lambda row: ("active", "pending", "expired").index(row["status"]["state"])), safe=False
    )


@for_keys(GET=READ, DELETE=WRITE)
def silence(request: HttpRequest, caller: keys.Caller, silence_id: UUID) -> HttpResponse:
    """One silence; or its end."""
    found = Silence.objects.filter(pk=silence_id).first()
    if found is None or not visible_silences([found], caller.workspaces):
        return failed(404, f"silence {silence_id} not found")
    if request.method == "DELETE":
        _require(caller, matchers_of(found))
        expire_silence(found, timezone.now())
        return HttpResponse()
    return JsonResponse(present.silence(found, timezone.now()))


def _listed(request: HttpRequest, caller: keys.Caller) -> list[dict[str, object]]:
    """The alerts that the query asks for."""
    found = present.alerts(
        current_policy(), read_filters(request.GET.getlist("filter")), caller.workspaces, timezone.now()
    )
    receiver = _pattern(request.GET.get("receiver", ""))
    wanted = {name: request.GET.get(name, "true") != "false" for name in ("active", "silenced", "inhibited")}
    rows = []
    for alert in found:
        inhibited, silenced = alert["status"]["inhibitedBy"], alert["status"]["silencedBy"]
        if (inhibited and not wanted["inhibited"]) or (silenced and not wanted["silenced"]):
            continue
        if not wanted["active"] and not inhibited and not silenced:
            continue
        if receiver is None or any(receiver.search(entry["name"]) for entry in alert["receivers"]):
            rows.append(alert)
    return rows


def _pattern(text: str) -> re.Pattern[str] | None:
    if not text:
        return None
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"^(?:{text})$", options)  # type: ignore[no-any-return]
    except re2.error:
        raise BadRequest("failed to parse receiver param") from None


def _has_filters(found: Silence, filters: Matchers) -> bool:
    """As amtool asks: a silence is listed where its own matchers fulfil every filter."""
    values = {name: value for name, _, value in found.matchers}
    return all(matcher.name in values and matcher.matches(values) for matcher in filters)


def _workspace(caller: keys.Caller) -> str | None:
    """The one workspace of the key; None for a key of all."""
    return next(iter(caller.workspaces)) if caller.workspaces is not None else None


def _require(caller: keys.Caller, matchers: Matchers) -> None:
    own = _workspace(caller)
    if own is not None and workspace_of(matchers) != own:
        raise PermissionDenied(f'this API key silences alerts of its workspace only: name it by workspace="{own}"')
