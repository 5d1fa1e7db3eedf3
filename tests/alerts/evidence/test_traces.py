"""The three executions that show an alert's fault best: which, of whom, and how messages name them."""

import json
import random

import pytest
from django.apps import apps
from django.conf import settings
from django.utils import timezone

from alerts.evidence.traces import behind, lines_of, ways_of
from alerts.models import Alert, Rule
from alerts.notify.message import flip_message
from alerts.notify.transports import email, slack, text, webhook
from alerts.rules.defaults import ensure_defaults
from core.accounts.models import Workspace
from telemetry.ingest.bodies import take
from telemetry.samples.demo_executions import Execution, Hour, body_of
from tests.alerts.pages.samples import fire
from usage.catalog import BY_SERIES
from usage.samples import demo

pytestmark = pytest.mark.django_db(transaction=True)


def ran(number: int, *, seconds: float = 1.0, error: str = "", tokens: int | None = 100) -> str:
    """An execution of the demo's workspace that called gpt-4o a few minutes ago; its trace's id."""
    now = timezone.now().timestamp()
    run = Execution(random.Random(number), Hour(0), f"{number:032x}")
    begin = now - 300 + number
    named = {
        "gen__ai_operation_name": "chat",
        "gen__ai_provider_name": "openai",
        "gen__ai_request_model": "gpt-4o",
        "gen__ai_response_model": "gpt-4o",
        **({} if tokens is None else {"gen__ai_usage_input__tokens": tokens}),
    }
    run.add("shop", "", run.span_id(), f"run {number}", begin, begin + seconds, 3, error, **named)
    take("traces.json", json.dumps(body_of("Spans", run.spans)).encode(), demo.caller(), now)
    return run.trace_id


@pytest.fixture
def executions(tables: None) -> dict[str, list[str]]:
    """Executions by what they show."""
    return {
        "fine": [ran(number) for number in (1, 2)],
        "missing": [ran(number, tokens=None) for number in (3, 4, 5)],
        "slow": [ran(number, seconds=20 + number) for number in (6, 7, 8)],
        "large": [ran(number, tokens=1000 * number) for number in (9, 10, 11)],
        "failed": [ran(number, error="timeout", tokens=None) for number in (12, 13, 14)],
    }


def alert_of(expr: str, workspace: Workspace | None = None, **labels: str) -> Alert:
    """An alert of a rule with the expression that fires for gpt-4o."""
    ensure_defaults(apps.get_model)
    rule = Rule.objects.get(name="LLMUsageIngestionFailuresCritical")
    Rule.objects.filter(pk=rule.pk).update(expr=expr, threshold=0, workspace=workspace)
    return fire(Rule.objects.get(pk=rule.pk), model="gpt-4o", **labels)


@pytest.mark.parametrize(
    ("expr", "shown"),
    [
        ("sum by (model) (rate(compozy_llm_usage_failures_total[5m])) > $threshold", "missing"),
        ("sum by (model) (rate(llm_provider_tokens_total[5m])) > $threshold", "large"),
        (
            "histogram_quantile(0.95, sum by (le, model) (rate(llm_provider_request_seconds_bucket[5m]))) > $threshold",
            "slow",
        ),
        ('sum by (model) (rate(llm_provider_errors_total{provider="openai"}[5m])) > $threshold', "failed"),
    ],
)
def test_the_traces_show_what_the_rule_measures(executions: dict[str, list[str]], expr: str, shown: str) -> None:
    alert = alert_of(expr)
    found = behind(alert, None, timezone.now())
    assert {one.trace_id for one in found.traces} == set(executions[shown])
    assert "q=model%3Dgpt-4o" in found.url
    assert ("q=provider%3Dopenai" in found.url) is (shown == "failed")
    assert ("q=usage%3Dmissing" in found.url) is (shown == "missing")


def test_where_nothing_shows_the_fault_itself_the_failed_are_named(tables: None) -> None:
    failed = ran(1, error="timeout", tokens=None)
    found = behind(alert_of("rate(compozy_llm_usage_failures_total[5m]) > $threshold"), None, timezone.now())
    assert [one.trace_id for one in found.traces] == [failed]
    assert found.why == "those with most errors"
    assert ways_of(None)[0].sort == "errors"
    assert ways_of(BY_SERIES["llm_provider_cost_usd_total"])[0].sort == "cost_usd"


def test_a_message_names_them_in_every_form(executions: dict[str, list[str]]) -> None:
    alert = alert_of("sum by (model) (rate(compozy_llm_usage_failures_total[5m])) > $threshold")
    flip = alert.flips.get(to_state="firing")
    message = flip_message(flip, timezone.now())
    base = settings.PORTAL.public_url
    assert {one.url for one in message.traces} == {f"{base}/traces/{one}/" for one in executions["missing"]}
    assert message.traces[0].text.startswith("run 5: 1 s")
    url = message.traces[0].url
    assert f"{message.traces[0].text} {url}" in text.body(message)
    assert url in [address for _, address in text.links(message)]
    assert f"<{url}|run 5" in json.dumps(slack.payload(message), ensure_ascii=False)
    assert url in webhook.payload(message)["alerts"][0]["annotations"]["traces"]
    mail = email.build(message, ["ops@example.org"], "portal@example.org")
    for form in ("plain", "html"):
        part = mail.get_body((form,))
        assert part is not None
        assert url in part.get_content()
    resolved = alert.flips.create(
        from_state="firing", to_state="resolved", at=timezone.now(), created_at=timezone.now()
    )
    assert flip_message(resolved, timezone.now()).traces == ()


def test_a_workspace_s_rule_names_no_traces_of_others(executions: dict[str, list[str]]) -> None:
    expr = "sum by (model) (rate(compozy_llm_usage_failures_total[5m])) > $threshold"
    other = Workspace.objects.create(slug="other", name="Other")
    assert lines_of(alert_of(expr, other), timezone.now()) == ()
    Alert.objects.update(fingerprint="before")
    own = Workspace.objects.get(slug="demo")
    assert len(lines_of(alert_of(expr, own), timezone.now())) == 3


def test_what_came_by_another_alertmanager_has_none(executions: dict[str, list[str]]) -> None:
    alert = alert_of("vector(1) > $threshold")
    alert.rule.external = True
    assert lines_of(alert, timezone.now()) == ()
