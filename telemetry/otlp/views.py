"""The entrances of OTLP/HTTP, langfuse's address and LiteLLM's callback."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from core.accounts.keys import Caller
from telemetry.ingest import bodies
from telemetry.otlp import answers
from telemetry.otlp.answers import JSON, PROTOBUF, Problem
from telemetry.otlp.callers import caller_of
from telemetry.otlp.refusals import refusals
from usage.ingest.body import read_body
from usage.ingest.views import stream_of

FORMS = {PROTOBUF: "protobuf", JSON: "json"}


@csrf_exempt
def signal(request: HttpRequest, signal: str) -> HttpResponse:
    """POST of traces, metrics or logs."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    try:
        caller = admitted(request)
        if media_type not in FORMS:
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {PROTOBUF} or {JSON}")
        answer = take(request, f"{signal}.{FORMS[media_type]}", caller)
    except Problem as problem:
        return answers.error(problem, media_type if media_type in FORMS else JSON)
    return answers.success(signal, media_type, answer.refused, answer.message)


@csrf_exempt
def litellm(request: HttpRequest) -> HttpResponse:
    """POST of LiteLLM's generic callback."""
    try:
        answer = take(request, "litellm.json", admitted(request))
    except Problem as problem:
        return answers.error(problem, JSON)
    return answers.success("traces", JSON, answer.refused, answer.message)


def admitted(request: HttpRequest) -> Caller:
    """The caller of a POST. Raises Problem."""
    if request.method != "POST":
        raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not allowed here; send a POST")
    return caller_of({name.lower(): value for name, value in request.headers.items()})


def take(request: HttpRequest, form: str, caller: Caller) -> bodies.Answer:
    """Read a request's body and make it durable. Raises Problem."""
    received_at = timezone.now().timestamp()
    with refusals():
        stream, length = stream_of(request)
        body = read_body(stream, length, request.headers.get("Content-Encoding", ""))
        return bodies.take(form, body, caller, received_at)
