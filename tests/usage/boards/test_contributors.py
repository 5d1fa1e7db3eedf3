"""Where a metric's events come from, now against before."""

from datetime import timedelta

from tests.records import NOW, Sender, call
from usage.boards.contributors import Contributor, Window, contributors
from usage.catalog import BY_NAME

HOUR = timedelta(hours=1)
WINDOW = Window(NOW - HOUR, NOW + timedelta(minutes=1), NOW - 2 * HOUR, NOW - HOUR)
FAILURES = BY_NAME["compozy_llm_usage_failures_total"]
MODEL = {"component": "agent", "provider": "openai", "model": "gpt-4o"}


def lost(team: str, minutes: int) -> dict[str, object]:
    """A call without token counts, so many minutes ago."""
    return call(at=NOW - timedelta(minutes=minutes), team=team, prompt_tokens=None, completion_tokens=None)


def of(found: list[Contributor], label: str) -> list[tuple[str, float, float, float]]:
    return [(one.value, one.now, one.before, one.share) for one in found if one.label == label]


def test_each_team_is_counted_now_and_before(sender: Sender, fixed_time: object) -> None:
    sender.post(
        [lost("checkout", 5), lost("checkout", 6), lost("checkout", 7), lost("research", 8), lost("research", 90)]
    )
    found = contributors(FAILURES, MODEL, WINDOW, None, fine=True)
    assert of(found, "team") == [("checkout", 3, 0, 0.75), ("research", 1, 1, 0.25)]


def test_what_the_alert_says_already_is_left_out(sender: Sender, fixed_time: object) -> None:
    sender.post([lost("checkout", 5)])
    labels = {one.label for one in contributors(FAILURES, MODEL, WINDOW, None, fine=True)}
    assert labels.isdisjoint({"component", "provider", "model"})
    assert {"team", "workspace"} <= labels


def test_calls_that_the_metric_does_not_count_are_not_counted(sender: Sender, fixed_time: object) -> None:
    sender.post(
        [lost("checkout", 5), call(at=NOW - timedelta(minutes=5), team="fine"), lost("other", 5) | {"model": "x"}]
    )
    assert of(contributors(FAILURES, MODEL, WINDOW, None, fine=True), "team") == [("checkout", 1, 0, 1)]


def test_nothing_of_another_workspace_is_counted(sender: Sender, fixed_time: object) -> None:
    sender.post([lost("checkout", 5)])
    assert contributors(FAILURES, MODEL, WINDOW, {"elsewhere"}, fine=True) == []
    assert contributors(FAILURES, MODEL, WINDOW, {"production"}, fine=True) != []


def test_a_silence_is_attributed_to_who_sent_before(sender: Sender, fixed_time: object) -> None:
    sender.post([call(at=NOW - timedelta(minutes=80), team=team) for team in ("a", "a", "a", "b")])
    events = BY_NAME["compozy_llm_usage_events_total"]
    found = contributors(events, {"component": "agent"}, WINDOW, None, fine=True)
    assert of(found, "team") == [("a", 0, 3, 0.75), ("b", 0, 1, 0.25)]


def test_tokens_are_summed_by_the_label_that_splits_them(sender: Sender, fixed_time: object) -> None:
    sender.post([call(at=NOW - timedelta(minutes=5), team="a", prompt_tokens=100, completion_tokens=7)])
    tokens = BY_NAME["llm_provider_tokens_total"]
    labels = {"provider": "openai", "model": "gpt-4o", "type": "completion"}
    assert of(contributors(tokens, labels, WINDOW, None, fine=True), "team") == [("a", 7, 0, 1)]


def test_a_histogram_counts_its_calls(sender: Sender, fixed_time: object) -> None:
    sender.post([call(at=NOW - timedelta(minutes=5), team="a", duration_seconds=30) for _ in range(2)])
    seconds = BY_NAME["llm_provider_request_seconds"]
    assert of(contributors(seconds, {"provider": "openai"}, WINDOW, None, fine=True), "team") == [("a", 2, 0, 1)]
