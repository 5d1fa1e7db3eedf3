"""The portal traces itself where it is asked to: from an HTTP request through a Celery task to an outbound webhook."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import TraceFlags

from alerts.models import Delivery
from alerts.notify.channels import create_channel
from alerts.notify.deliveries import send_channel
from core.net import tracing
from portal.tracing.sdk import SdkTracer
from portal.tracing.start import fill_environment, is_asked_for
from tests.alerts.scripted_rules import DELAY, gauge, make_rule, minute, run
from tests.live import ROOT, clean_environment, live_portal, open_folder
from tests.people import browser_of
from tests.servers import Answer, HttpServer, serve_http, wait_until

TRACE, CALLER = "5f2d" * 8, "ab" * 8
LOADED = "import json, sys, portal.wsgi, portal.celery; print(json.dumps(sorted(sys.modules)))"


def loaded(**environment: str) -> set[str]:
    """The modules that the web server and the worker load."""
    command = [sys.executable, "-c", LOADED]
    ran = subprocess.run(
        command, cwd=ROOT, env=clean_environment(**environment), capture_output=True, text=True, check=True
    )
    return {name for name in json.loads(ran.stdout) if name.startswith(("opentelemetry.sdk", "opentelemetry.instr"))}


def test_nothing_of_the_sdk_is_loaded_unless_it_is_asked_for(tmp_path: object) -> None:
    data = {"PORTAL_DATA_DIR": str(tmp_path)}
    assert loaded(**data) == set()
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    assert loaded(**data, **asked, OTEL_SDK_DISABLED="true") == set()
    assert {"opentelemetry.sdk.trace", "opentelemetry.instrumentation.celery"} <= loaded(**data, **asked)


def test_a_span_does_nothing_while_the_portal_is_not_traced() -> None:
    with tracing.span("ingest", records=1):
        assert tracing.context_headers() == {}
    assert not is_asked_for()


@pytest.mark.parametrize(("sampler", "inner"), [(ALWAYS_ON, True), (ALWAYS_OFF, False)])
def test_a_step_of_a_trace_that_is_not_sampled_makes_no_span(sampler: Sampler, inner: bool) -> None:
    provider = TracerProvider(sampler=sampler)
    with provider.get_tracer("test").start_as_current_span("request") as request:
        with SdkTracer(provider).span("ingest", {}, client=False):
            assert (trace.get_current_span() is not request) is inner
        flags = int(SdkTracer(provider).context_headers()["traceparent"].rpartition("-")[2], 16)
        assert bool(flags & TraceFlags.SAMPLED) is inner


def test_the_sdk_is_told_our_defaults_and_what_is_set_wins(
    monkeypatch: pytest.MonkeyPatch, configure: Callable[..., object]
) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    configure(otel_endpoint="http://collector:4318", otel_headers="a=b")
    monkeypatch.setattr(os, "environ", {"OTEL_SERVICE_NAME": "mine"})
    fill_environment()
    assert os.environ == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "a=b",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
        "OTEL_SERVICE_NAME": "mine",
    }
    monkeypatch.setattr(os, "environ", {"OTEL_TRACES_SAMPLER": "always_on"})
    fill_environment()
    assert (os.environ["OTEL_TRACES_SAMPLER"], "OTEL_TRACES_SAMPLER_ARG" in os.environ) == ("always_on", False)


def failed_delivery(webhook: HttpServer) -> Delivery:
    """A message that a webhook has refused for good."""
    webhook.answers.append(Answer(404))
    channel = create_channel("webhook", "webhook", {"url": webhook.url})
    run(make_rule(), gauge({"a": [9]}), 0, 0)
    send_channel(channel.pk, lambda: minute(0) + DELAY)
    return Delivery.objects.get(state=Delivery.State.FAILED)


def send_again(url: str, delivery: Delivery, traceparent: str) -> int:
    """Press "send again" as an operator whose browser is traced; the answer's status."""
    session = browser_of(User.objects.create_superuser("ops")).cookies["sessionid"].value
    token = "t" * 32
    request = urllib.request.Request(
        f"{url}/deliveries/{delivery.pk}/retry",
        data=urlencode({"csrfmiddlewaretoken": token}).encode(),
        headers={"Cookie": f"sessionid={session}; csrftoken={token}", "traceparent": traceparent},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return int(answer.status)


def received(receiver: HttpServer) -> list[Span]:
    """All spans of TRACE that came to the receiver."""
    spans = []
    for request in receiver.requests:
        assert request.path == "/v1/traces"
        body = ExportTraceServiceRequest.FromString(request.body)
        spans += [span for one in body.resource_spans for scope in one.scope_spans for span in scope.spans]
    return [span for span in spans if span.trace_id.hex() == TRACE]


def ancestors(spans: list[Span], span: Span) -> list[str]:
    """The names of a span and of those it is in, up to the root."""
    by_id = {one.span_id: one for one in spans}
    names = [span.name]
    while span.parent_span_id in by_id:
        span = by_id[span.parent_span_id]
        names.append(span.name)
    return names


def live_settings(receiver: str) -> dict[str, str]:
    """The environment of a portal on the tests' database that sends its traces to a receiver, at once."""
    d = connection.settings_dict
    url = urlencode({"host": d["HOST"], "port": d["PORT"], "dbname": d["NAME"], "user": d["USER"]})
    return {
        "DATABASE_URL": f"postgresql://?{url}",
        "PORTAL_SECRET_KEY": settings.SECRET_KEY,
        "PORTAL_OUTBOUND_PRIVATE": "true",
        "PORTAL_WORKER_CONCURRENCY": "1",
        "PORTAL_WEB_WORKERS": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        # What is not ours to decide is not sampled, so that the receiver sees only the trace that the caller wants
        # kept.
        "OTEL_TRACES_SAMPLER": "parentbased_always_off",
    }


@pytest.mark.django_db(transaction=True)
def test_a_trace_goes_from_a_request_through_a_task_to_a_webhook(
    http_server: HttpServer, configure: Callable[..., object]
) -> None:
    configure(outbound_private=True, base_url="https://portal.example")
    delivery = failed_delivery(http_server)
    with open_folder() as folder, serve_http() as receiver:
        environment = live_settings(receiver.url)
        with live_portal(folder / "data", "--only", "web,worker", environment=environment) as portal:
            assert send_again(portal.url, delivery, f"00-{TRACE}-{CALLER}-01") == 200
            sent = http_server.wait_for(2, 60)[1]
            wait_until(lambda: {"POST", "notify"} <= {span.name for span in received(receiver)}, 30, "the spans")
            wait_until(lambda: any(span.parent_span_id.hex() == CALLER for span in received(receiver)), 30, "the root")
        spans = received(receiver)
    _, trace_id, parent, flags = sent.headers["traceparent"].split("-")
    [post] = [span for span in spans if span.span_id.hex() == parent]
    assert (trace_id, flags, post.kind) == (TRACE, "01", Span.SPAN_KIND_CLIENT)
    assert ancestors(spans, post) == [
        "POST",
        "notify",
        "run/alerts.tasks.send_channel",
        "apply_async/alerts.tasks.send_channel",
        "POST deliveries/<int:delivery_id>/retry",
    ]
    assert {attribute.key: attribute.value.string_value for attribute in post.attributes}[
        "portal.host"
    ] in sent.headers["host"]
    assert any(span.name == "SELECT" for span in spans)
    # The exporter asks whoever is traced to make no spans of receiving them: sent to itself, the portal does not go
    # round in circles.
    assert {request.headers["traceparent"][-3:] for request in receiver.requests} == {"-00"}
