"""What people do from a message: the page behind a signed link, and Slack's buttons."""

from __future__ import annotations

import datetime as dt
import json
from http import HTTPStatus
from typing import Any

from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST
from slack_sdk.signature import SignatureVerifier

from alerts.incidents import actions
from alerts.incidents.models import Incident
from alerts.incidents.queries import incident_row
from alerts.notify.encryption import SecretLost, decrypt
from alerts.notify.links import Link, LinkExpired, read_token
from core.accounts.holder import Actor, LinkHolder
from core.net.outbound import Forbidden, Unreachable, post

# What a button or a form asks for: acknowledge, or how many hours to snooze.
SNOOZES = {"snooze-1h": 1, "snooze-4h": 4, "snooze-24h": 24}
SLACK_SECONDS = 2.0


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest, token: str) -> HttpResponse:
    """Asks what to do with the incident; a POST does it."""
    try:
        link = read_token(token)
    except LinkExpired:
        return render(request, "alerts/act_expired.html", status=HTTPStatus.GONE)
    if link is None:
        raise Http404("No such link.")
    if request.method == "POST":
        by = request.user if isinstance(request.user, User) else link.actor
        carry_out(link.incident, request.POST.get("do", "acknowledge"), by, timezone.now())
        return redirect("incident-act", token)
    link.incident.refresh_from_db()
    context = {
        "row": incident_row(link.incident),
        "incident": link.incident,
        "channel": link.channel,
        "is_snoozed": link.incident.is_snoozed(timezone.now()),
        "last": link.incident.events.order_by("-at", "-id").first(),
    }
    return render(request, "alerts/act.html", context)


def carry_out(incident: Incident, wanted: str, by: Actor, now: dt.datetime) -> str:
    """Do it; what came of it, in a sentence. Doing it again changes nothing."""
    if wanted in SNOOZES:
        hours = SNOOZES[wanted]
        done = actions.snooze(incident, dt.timedelta(hours=hours), by=by, now=now)
        return f"Snoozed for {hours} h by {by.get_username()}." if done else "It is over."
    if wanted != "acknowledge":
        return "There is no such action."
    if actions.acknowledge(incident, by=by, now=now):
        return f"Acknowledged by {by.get_username()}."
    return "It was acknowledged before, or it is over."


@csrf_exempt
@require_POST
def slack(request: HttpRequest) -> HttpResponse:
    """A button in Slack was pressed. Slack signs the request with the signing secret
    that the channel of the button has."""
    try:
        payload: Any = json.loads(QueryDict(request.body).get("payload") or "")
        pressed = payload["actions"][0]
        wanted, token = str(pressed["action_id"]), str(pressed["value"])
        user = payload["user"]
        name = str(user.get("username") or user.get("name") or user["id"])[:80]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return HttpResponse(status=HTTPStatus.BAD_REQUEST)
    try:
        link = read_token(token)
    except LinkExpired:
        link = None
    if link is None or not _is_signed(request, link):
        return HttpResponse(status=HTTPStatus.FORBIDDEN)
    said = carry_out(link.incident, wanted, LinkHolder(f"{name} in Slack"), timezone.now())
    _answer(str(payload.get("response_url") or ""), said)
    return HttpResponse()


def _is_signed(request: HttpRequest, link: Link) -> bool:
    """By Slack, within the last five minutes."""
    try:
        secret = str(decrypt(link.channel.config_encrypted).get("signing_secret") or "")
    except SecretLost:
        return False
    stamp, signature = (request.headers.get(f"X-Slack-{name}", "") for name in ("Request-Timestamp", "Signature"))
    if not secret or not stamp.isdecimal() or not signature.isascii():
        return False
    return SignatureVerifier(secret).is_valid(request.body, stamp, signature)


def _answer(url: str, text: str) -> None:
    """Say in the channel what was done. Slack waits for three seconds; where this fails,
    the incident's page says it."""
    body = json.dumps({"response_type": "in_channel", "replace_original": False, "text": text}).encode()
    try:
        post(url, body, {"Content-Type": "application/json"}, seconds=SLACK_SECONDS)
    except (Forbidden, Unreachable):
        return
