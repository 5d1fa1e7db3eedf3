"""The whole way: records over HTTP, rules over what was recorded, messages to Slack."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.apps import apps

from alerts.evaluation.schedule import slot_before
from alerts.evaluation.tick import tick
from alerts.models import Flip, RuleGroup
from alerts.notify import deliveries
from alerts.notify.channels import create_channel
from alerts.rules.defaults import ensure_defaults
from portal.env import Config
from tests.records import NOW, Sender, call
from tests.servers import HttpServer
from usage.series.source import PostgresSource

START = slot_before(NOW, 60)
DELAY = timedelta(seconds=15)
FAILING = range(60, 90)


@pytest.mark.usefixtures("fixed_time")
@pytest.mark.parametrize("every", [1, 149], ids=["minute by minute", "all at once after downtime"])
def test_failures_between_good_calls_fire_and_resolve_at_the_right_slots(
    sender: Sender,
    http_server: HttpServer,
    configure: Callable[..., Config],
    every: int,
) -> None:
    """A call every 20 s for two and a half hours; for half an hour of it every fifth has no token counts."""
    configure(outbound_private=True, evaluation_catch_up=3 * 3600)
    ensure_defaults(apps.get_model)
    channel = create_channel("slack", "slack", {"url": http_server.url}, severities=["critical"])
    calls = []
    for number in range(150 * 3):
        missing = number // 3 in FAILING and number % 5 == 0
        tokens = {"prompt_tokens": None, "completion_tokens": None} if missing else {}
        calls.append(call(START + timedelta(seconds=20 * number + 1), **tokens))
    assert sender.post(calls).json()["accepted"] == len(calls)
    RuleGroup.objects.update(evaluated_until=START)
    for minute in range(every, 150, every):
        now = START + timedelta(minutes=minute) + DELAY
        tick(now, PostgresSource(now=now.timestamp()))
        deliveries.send_channel(channel.pk, lambda now=now: now)  # type: ignore[misc]
    flips = [
        (int((flip.at - START).total_seconds() // 60), flip.alert.rule.name, flip.to_state)
        for flip in Flip.objects.select_related("alert__rule").order_by("at", "id")
    ]
    rule = "LLMUsageIngestionFailuresCritical"
    # The first failure lies 1 s into minute 60, the last one in minute 88: it leaves the window of 15 min at 104.
    assert flips == [(61, rule, "pending"), (76, rule, "firing"), (104, rule, "resolved")]
    headings = [request.body.decode() for request in http_server.requests]
    assert ["Resolved" in heading for heading in headings] == [False, True]
    assert "Usage not recorded for gpt-4o" in headings[0]
