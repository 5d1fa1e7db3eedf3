"""Queries in words, and their units."""

import pytest

import promql
from portal.explore.descriptions import sentence
from portal.explore.functions import AGGREGATIONS, FUNCTIONS
from portal.explore.units import shown, unit_of, value_text
from promql.functions import ELEMENTWISE, RANGE_FUNCTIONS, SPECIAL_FUNCTIONS
from promql.parser.signatures import AGGREGATIONS as KNOWN_AGGREGATIONS
from usage.boards.declarations import BOARDS, expand

EVENTS, FAILURES = "compozy_llm_usage_events_total", "compozy_llm_usage_failures_total"
BOARD_QUERIES = [
    expand(query.expr, "5m", "1d") for board in BOARDS.values() for panel in board.panels for query in panel.queries
]


def said(text: str) -> str:
    return sentence(promql.parse(text, experimental=True).expr)


def test_every_function_and_aggregation_of_the_engine_has_words() -> None:
    assert set(FUNCTIONS) == {*ELEMENTWISE, *RANGE_FUNCTIONS, *SPECIAL_FUNCTIONS}
    assert set(AGGREGATIONS) == set(KNOWN_AGGREGATIONS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"sum by (model) (rate({FAILURES}[5m]))",
            "The sum per model of the rate per second of “attempts that recorded no usage” in the last 5 min.",
        ),
        (
            'histogram_quantile(0.95, sum by (le) (rate(llm_provider_request_seconds_bucket{model=~"gpt.*"}[5m])))',
            "The 0.95 quantile, from the buckets of the sum per le of the rate per second of buckets of “provider API"
            " call"
            " latency” where model matches “gpt.*” in the last 5 min.",
        ),
        ("topk(3, up)", "The 3 largest of “up”."),
        ("sum without (a) (up offset 1d)", "The sum per all labels but a of “up”, 1 d ago."),
        ("up @ end() > bool 1", "1 where “up”, at the end of the range is above 1, else 0."),
        ("a + b * c", "“a” plus “b” times “c”."),
        ("(a + b) * c", "(“a” plus “b”) times “c”."),
        ("a - (b - c)", "“a” minus (“b” minus “c”)."),
        ("sum(a / b)", "The sum over all of (“a” divided by “b”)."),
        (
            "a * on (model) group_left (team) b",
            "“a” times “b”, pairs of equal model, one on the right for many with its team.",
        ),
        ("a unless ignoring (x) b", "“a”, except where “b” has a series, pairs of equal labels but for x."),
        ("max_over_time(rate(a[1m])[1h:30s])", None),
        ("round(a)", "“a”, rounded to a multiple of 1."),
        ("hour()", "The hour (UTC) of now."),
        (
            "increase(a[5m * 2] anchored)",
            "The increase of “a” in the last 10 min, from the last sample before that on.",
        ),
        (
            "rate(a[step()] smoothed offset (range() / 2))",
            "The rate per second of “a” in the last step(), interpolated between the samples around its edges,"
            " (range() / 2) ago.",
        ),
        ("a[1h:step()]", "“a”, evaluated over the last 1 h, every step()."),
        ('{__name__=~"a.*", b!="c"}', "All series whose name matches “a.*” where b is not “c”."),
    ],
)
def test_a_query_in_words(text: str, expected: str | None) -> None:
    wanted = expected or (
        "The largest value in time of the rate per second of “a” in the last 1 min, evaluated over the last 1 h, every"
        " 30 s."
    )
    assert said(text) == wanted


@pytest.mark.parametrize("text", BOARD_QUERIES)
def test_every_query_of_the_boards_has_words(text: str) -> None:
    assert said(text).endswith(".")


def test_a_deep_query_has_words() -> None:
    assert said("(" * 90 + "-" * 40 + "x" + ")" * 90).endswith("“x”.")


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("llm_tokens_total", "tokens"),
        ("rate(llm_tokens_total[5m])", "tokens/s"),
        ("60 * sum(rate(llm_tokens_total[5m]))", "tokens/min"),
        ("sum(increase(llm_provider_cost_usd_total[1h]))", "USD"),
        ("3600 * sum(rate(llm_provider_cost_usd_total[1h]))", "USD/h"),
        ("histogram_quantile(0.9, sum by (le) (rate(llm_provider_request_seconds_bucket[5m])))", "seconds"),
        ("1000 * histogram_quantile(0.9, sum by (le) (rate(llm_provider_request_seconds_bucket[5m])))", "ms"),
        ("rate(llm_provider_request_seconds_sum[5m]) / rate(llm_provider_request_seconds_count[5m])", "seconds"),
        (f"100 * sum(rate({FAILURES}[5m])) / sum(rate({EVENTS}[5m]))", "%"),
        (f"100 - 100 * (sum(rate({FAILURES}[5m])) or vector(0)) / sum(rate({EVENTS}[5m]))", "%"),
        (f"rate({EVENTS}[5m])", "per second"),
        (f"sum(rate({FAILURES}[5m])) / sum(rate({EVENTS}[5m])) > 0.1", ""),
        ("count(llm_tokens_total)", ""),
        ("llm_tokens_total + llm_provider_cost_usd_total", ""),
        ("somebody_elses_metric", ""),
        ("time()", ""),
    ],
)
def test_the_unit_of_a_query(text: str, unit: str) -> None:
    assert shown(unit_of(promql.parse(text).expr)) == unit


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.0873, "seconds", "87.3 ms"),
        (-2.5, "seconds", "−2.50 s"),
        (1_420_000, "tokens", "1.42 M tokens"),
        (412.6, "USD/h", "$ 412.60/h"),
        (98.71, "%", "98.7 %"),
        (3, None, "3"),
        (3, "/s", "3 /s"),
        (float("nan"), "tokens", "NaN"),
        (float("inf"), "tokens", "+Inf"),
    ],
)
def test_a_value_with_its_unit(value: float, unit: str | None, expected: str) -> None:
    assert value_text(value, unit).replace("\u00a0", " ") == expected
