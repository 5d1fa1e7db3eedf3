"""While Postgres is away the portal says so, and what it knew."""

import re
from pathlib import Path

import pytest
from django.test import Client

from portal.exports import last_numbers
from tests.alerts.scripted_rules import make_rule
from tests.postgres import postgres_away
from tests.records import Sender, call
from usage.ingest import node

pytestmark = pytest.mark.usefixtures("fixed_time")


def metrics() -> str:
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    return answer.content.decode()


def value(text: str, series: str) -> float:
    """The value of one series."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    assert found, f"no {series} in\n{text[:2000]}"
    return float(found[1])


EVENTS = 'compozy_llm_usage_events_total{component="agent",provider="openai",model="gpt-4o",outcome="success"}'


def test_metrics_show_the_last_totals_and_what_this_machine_knows(sender: Sender) -> None:
    make_rule()
    sender.post([call(), call()])
    before = metrics()
    assert (value(before, EVENTS), value(before, "llm_usage_database_up")) == (2, 1)
    with postgres_away():
        sender.post([call(), call(), call()])
        during = metrics()
    assert value(during, EVENTS) == 2
    assert value(during, "llm_usage_database_up") == 0
    assert value(during, "llm_usage_node_queue_size") == 3
    assert value(during, 'llm_usage_node_failures_total{error_type="db_error"}') == 1
    assert "portal_rule_group_interval_seconds{" in during


def test_what_another_process_read_earlier_does_not_replace_what_is_kept(sender: Sender) -> None:
    last_numbers.keep(last_numbers.Numbers(read_at=200.0))
    last_numbers.keep(last_numbers.Numbers(read_at=100.0))
    assert last_numbers.kept().read_at == 200.0


def test_gauges_that_no_longer_hold_are_left_out() -> None:
    numbers = last_numbers.Numbers(read_at=1000.0)
    numbers.catalog.gauges = [(1, "{}", 1.0)]
    assert last_numbers.aged(numbers, 1100.0).catalog.gauges
    assert not last_numbers.aged(numbers, 1000.0 + 3601).catalog.gauges


def test_a_file_that_cannot_be_read_shows_nothing_and_breaks_nothing(sender: Sender, spool_folder: Path) -> None:
    metrics()
    last_numbers.path().write_bytes(b"\xff")
    (spool_folder / "failures.json").write_bytes(b"{")
    with postgres_away():
        assert value(metrics(), "llm_usage_database_up") == 0


def test_requests_that_are_answered_503_are_counted(sender: Sender, configure: object) -> None:
    sender.post([])
    configure(spool_max_bytes=10)  # type: ignore[operator]
    with postgres_away():
        assert sender.post([call()]).status_code == 503
    assert node.failures() == {"db_error": 1, "timeout": 0, "refused": 1}


@pytest.mark.usefixtures("sender")
def test_pages_say_what_still_works_and_the_api_answers_503() -> None:
    browser = Client(raise_request_exception=False)
    browser.cookies["sessionid"] = "a" * 32
    with postgres_away():
        page = browser.get("/")
        api = browser.get("/api/v1/query?query=up")
    assert (page.status_code, page["Retry-After"]) == (503, "10")
    assert "Records are still received and kept on disk" in page.content.decode()
    assert api.status_code == 503
    assert api.json()["errorType"] == "unavailable"
    assert "Postgres is away" in api.json()["error"]


def test_the_log_names_each_batch_that_was_not_stored(sender: Sender, caplog: pytest.LogCaptureFixture) -> None:
    sender.post([])
    with postgres_away():
        receipt = sender.post([call()]).json()["receipt"]
    [line] = [message for message in caplog.messages if message.startswith("Failed to persist usage")]
    assert line.startswith(
        f"Failed to persist usage: receipt={receipt} key={sender.key.pk} workspace=production records=1, spooled: "
    )
    assert "Error: " in line or "Away: " in line
