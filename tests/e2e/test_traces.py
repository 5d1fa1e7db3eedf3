"""From a chart's point to the execution behind it, its waterfall, logs, record and
receipt; and from an alert to its traces."""

import json
import logging
import math
import re
import statistics
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.apps import apps
from django.utils import timezone
from openai import OpenAI, RateLimitError
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from playwright.sync_api import Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from alerts.models import Rule
from alerts.rules.defaults import ensure_defaults
from tests.alerts.pages.samples import fire
from tests.e2e.test_pages import open_page
from tests.records import Sender, call, settle_all
from tests.servers import Answer, HttpServer
from tests.telemetry.pages.traces.test_waterfall import large_trace

MODEL = "gpt-4o-2024-08-06"
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_764_000_000,
    "model": MODEL,
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "It has been refunded."}}
    ],
    "usage": {"prompt_tokens": 120, "completion_tokens": 35, "total_tokens": 155},
}
LIMITED = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}


@pytest.fixture
def execution(http_server: HttpServer, live_server: LiveServer, sender: Sender) -> Iterator[Callable[[], str]]:
    """Runs an execution of an application that is instrumented as its users would:
    OpenTelemetry's SDK, OpenInference, OpenAI's client.

    The application calls a model, is refused by another, calls a tool and logs a line; the trace's id in hex.
    """
    headers = {"x-api-key": sender.plaintext}
    resource = Resource({"service.name": "support-desk"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{live_server.url}/v1/traces", headers=headers)))
    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(
        SimpleLogRecordProcessor(OTLPLogExporter(f"{live_server.url}/v1/logs", headers=headers))
    )
    logger = logging.getLogger("support-desk")
    handler = LoggingHandler(logger_provider=logs)
    logger.addHandler(handler)
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    client = OpenAI(base_url=http_server.url, api_key="none", max_retries=0)
    tracer = provider.get_tracer("support-desk")

    def run() -> str:
        ok, limited = (
            Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
            for status, body in ((200, COMPLETION), (429, LIMITED))
        )
        http_server.answers.extend((ok, limited))
        agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "refund-agent"}
        messages: Any = [{"role": "user", "content": "Where is my money?"}]
        with tracer.start_as_current_span("answer-ticket", attributes=agent) as root:
            client.chat.completions.create(model="gpt-4o", messages=messages)
            with suppress(RateLimitError):
                client.chat.completions.create(model="gpt-4o", messages=messages)
            tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "create_refund"}
            with tracer.start_as_current_span("execute_tool create_refund", attributes=tool):
                logger.warning("refund above %s EUR, asking the policy", 50)
        settle_all()
        return f"{root.get_span_context().trace_id:032x}"

    yield run
    OpenAIInstrumentor().uninstrument()
    logger.removeHandler(handler)
    provider.shutdown()
    logs.shutdown()
    client.close()


def panel_chart(page: Page, title: str) -> Locator:
    """The chart of the panel with this title."""
    return page.locator(".panel", has=page.get_by_role("heading", name=title, exact=True)).locator(".chart")


def click_point(page: Page, chart: Locator) -> None:
    """Click on the last point of a chart's first series that has a value."""
    expect(chart).to_have_attribute("data-state", "ready")
    chart.scroll_into_view_if_needed()
    place = chart.evaluate(
        """(chart) => {
            const trace = chart._fullData.find((one) => one.y.some((value) => value !== null));
            const at = trace.y.findLastIndex((value) => value !== null);
            const { xaxis, yaxis } = chart._fullLayout, box = chart.getBoundingClientRect();
            return [
                box.left + xaxis._offset + xaxis.d2p(trace.x[at]),
                box.top + yaxis._offset + yaxis.d2p(trace.y[at]),
            ];
        }"""
    )
    page.mouse.move(place[0] - 3, place[1])
    page.mouse.move(*place, steps=4)
    page.mouse.click(*place)


def test_a_chart_s_point_leads_to_the_execution_its_logs_its_record_and_its_receipt(
    page: Page, execution: Callable[[], str], sender: Sender
) -> None:
    # The chart has a point for each quarter of a minute that is over: what is to be clicked needs some history.
    now = timezone.now()
    sender.post([call(at=now - timedelta(seconds=20 * place), model=MODEL) for place in range(1, 60)])
    trace = execution()
    open_page(page, "/providers/?range=1h")
    click_point(page, panel_chart(page, "Token rate"))
    expect(page).to_have_url(re.compile(r"/traces/\?q="))
    row = page.locator(".what-ran", has_text="answer-ticket")
    expect(row).to_contain_text("1 error")
    row.get_by_role("link").click()

    expect(page).to_have_url(re.compile(f"/traces/{trace}/"))
    tree = page.get_by_role("tree")
    expect(tree.get_by_role("treeitem")).to_have_count(4)
    expect(tree.get_by_role("treeitem").first).to_contain_text("120 → 35")
    page.keyboard.press("e")
    expect(tree.locator('[aria-selected="true"]')).to_contain_text("rate")
    detail = page.locator("#span-detail")
    expect(detail).to_contain_text("rate_limit")
    tree.get_by_role("treeitem").nth(1).click()
    expect(detail).to_contain_text("120 in · 35 out")
    expect(detail.locator(".badge", has_text="once")).to_be_visible()
    expect(page).to_have_url(re.compile("span=[0-9a-f]{16}"))

    tree.get_by_role("treeitem", name="create_refund").click()
    detail.get_by_role("link", name="1 line").click()
    expect(page.locator(".log-line")).to_contain_text("refund above 50 EUR")
    page.locator(".log-line summary").click()
    page.get_by_role("link", name="at this span").click()
    expect(page.locator("#span-detail")).to_contain_text("create_refund")

    page.get_by_role("link", name="Records").click()
    expect(page.locator("tbody tr")).to_have_count(4)
    page.locator("tbody tr", has_text="llm_call").first.get_by_role("link").last.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Receipt")
    page.get_by_role("link", name=trace[:8]).first.click()
    expect(page).to_have_url(re.compile(f"/traces/{trace}/.*span=[0-9a-f]{{16}}"))


def test_points_of_an_alert_s_chart_and_of_explore_lead_to_the_traces_behind_them(
    page: Page, execution: Callable[[], str], sender: Sender
) -> None:
    now = timezone.now()
    sender.post([call(at=now - timedelta(seconds=20 * place), model=MODEL) for place in range(1, 60)])
    execution()
    ensure_defaults(apps.get_model)
    rule = Rule.objects.get(name="ExcessiveTokenUsage")
    alert = fire(rule, provider="openai", model=MODEL)
    query = quote('sum by (model) (rate(llm_provider_tokens_total{provider="openai"}[5m]))')
    for path in (f"/alerts/{alert.pk}/", f"/explore/?q={query}&range=1h"):
        open_page(page, path)
        click_point(page, page.locator(".chart").first)
        expect(page).to_have_url(re.compile(r"/traces/\?q="))
        assert {"provider=openai", f"model={MODEL}"} <= set(parse_qs(urlsplit(page.url).query)["q"])
        expect(page.locator(".what-ran", has_text="answer-ticket")).to_be_visible()


def test_an_alert_s_evidence_leads_to_three_traces_and_the_palette_to_one(
    page: Page, execution: Callable[[], str]
) -> None:
    traces = [execution() for _ in range(4)]
    ensure_defaults(apps.get_model)
    rule = Rule.objects.get(name="LLMUsageIngestionFailuresCritical")
    alert = fire(rule, provider="openai", model=MODEL)
    open_page(page, f"/alerts/{alert.pk}/")
    links = page.locator("section", has=page.get_by_role("heading", name="Traces behind it")).locator(".what a")
    expect(links).to_have_count(3)
    links.first.click()
    expect(page).to_have_url(re.compile("|".join(traces)))
    expect(page.get_by_role("treeitem").first).to_contain_text("answer-ticket")
    page.keyboard.press("/")
    page.locator("#palette input").fill(traces[0])
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(traces[0]))


def test_of_2000_spans_only_those_in_sight_are_in_the_page(page: Page) -> None:
    trace = large_trace(2000)
    open_page(page, f"/traces/{trace}/")
    tree = page.get_by_role("tree")
    expect(tree.get_by_role("treeitem").first).to_contain_text("large")
    assert page.locator(".wf-row").count() < 80
    tree.focus()
    page.keyboard.press("End")
    expect(tree.locator('[aria-selected="true"]')).to_contain_text("step 1998")
    page.locator("#wf-find").fill("step 777")
    expect(page.locator("#wf-found")).to_have_text("1 span")
    page.locator("#wf-find").press("Enter")
    expect(tree.locator('[aria-selected="true"]')).to_contain_text("step 777")
    expect(page.locator("#span-detail")).to_contain_text("step 777")
    assert page.locator(".wf-row").count() < 80


# What each frame of an action took, in milliseconds: it is done once per frame, and the next frame awaited.
FRAMES = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const scroll = document.getElementById("wf-scroll"), find = document.getElementById("wf-find");
  const search = (text) => { find.value = text; find.dispatchEvent(new Event("input", { bubbles: true })); };
  const actions = {
    scrolling: () => { scroll.scrollTop += 397; },
    folding: () => document.querySelector(".wf-toggle").click(),
    searching: (number) => search(`step ${number}`),
    zooming: (number) => {
      const map = document.getElementById("wf-map"), { left, top } = map.getBoundingClientRect();
      for (const [kind, x] of [["pointerdown", 10 + number], ["pointerup", 200 + number]])
        map.dispatchEvent(new PointerEvent(kind, { clientX: left + x, clientY: top + 5, pointerId: 1 }));
    },
  };
  document.getElementById("wf-map").setPointerCapture = () => {};
  const found = {};
  for (const [name, act] of Object.entries(actions)) {
    scroll.scrollTop = 0;
    await frame();
    let last = await frame();
    found[name] = [];
    for (let number = 0; number < 40; number += 1) {
      act(number);
      const now = await frame();
      found[name].push(now - last);
      last = now;
    }
    search("");
  }
  return found;
}"""


def test_2000_spans_stay_fluid(page: Page) -> None:
    open_page(page, f"/traces/{large_trace(2000)}/")
    expect(page.get_by_role("treeitem").first).to_contain_text("large")
    # Whatever else runs on the machine only adds: the best of a few rounds counts.
    best = dict.fromkeys(("scrolling", "folding", "searching", "zooming"), math.inf)
    for _ in range(5):
        for name, frames in page.evaluate(FRAMES).items():
            best[name] = min(best[name], statistics.median(frames))
        if max(best.values()) <= 50:
            break
    assert max(best.values()) <= 50, best
