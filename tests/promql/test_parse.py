"""Parsing: types, names, thresholds, and errors that say where and what was meant."""

import pytest

import promql


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("rate(x[5m]) by (y)", "sum by (y) (rate(x[5m]))"),
        ("rate(x[5m]) by (y) > 3", "sum by (y) (rate(x[5m])) > 3"),
        ("increase(x[5m]) without (y)", "sum without (y) (increase(x[5m]))"),
        (
            "histogram_quantile(0.95, rate(x_bucket[5m])) by (y)",
            "histogram_quantile(0.95, sum by (le, y) (rate(x_bucket[5m])))",
        ),
        (
            "rate(a[5m]) by (y) / rate(b[5m]) by (y)",
            "sum by (y) (rate(a[5m])) / sum by (y) (rate(b[5m]))",
        ),
    ],
)
def test_grouping_a_function_is_an_error_with_the_corrected_query(text: str, suggestion: str) -> None:
    with pytest.raises(promql.ParseError) as caught:
        promql.parse(text)
    assert caught.value.suggestion == suggestion
    position = caught.value.position
    assert position is not None
    assert text[position:].startswith(("by", "without"))
    promql.parse(suggestion)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("1 +", 3),
        ("foo bar", 4),
        ("sum(x) + 日本", 9),
        ("x{a='b", 4),
        ("(1 + ) * 2", 5),
        ("sum(x)) + 1", 6),
        ("1 + nope(x)", 4),
        ("1 + rate(x)", 9),
        ('x{a=~"("}', 5),
        ("sum(x", 3),
        ("x[5m:1m] foo", 9),
    ],
)
def test_an_error_knows_its_place(text: str, position: int) -> None:
    with pytest.raises(promql.ParseError) as caught:
        promql.parse(text)
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x", "vector"),
        ("x[5m]", "matrix"),
        ("x[5m:]", "matrix"),
        ("1 + 1", "scalar"),
        ("1 + x", "vector"),
        ('"a"', "string"),
    ],
)
def test_a_query_knows_its_type(text: str, kind: str) -> None:
    assert promql.parse(text).type == kind


def test_a_query_names_its_metrics_once_and_in_order() -> None:
    assert promql.parse('b / a + b{x="y"} + {__name__=~"c"}').metric_names() == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "lhs", "op", "threshold"),
    [
        ("100 * sum(x) / sum(y) > 1", "100 * sum(x) / sum(y)", ">", 1.0),
        ("(x >= bool 2 * 3)", "x", ">=", 6.0),
        ("x < -1", "x", "<", -1.0),
        ("((x) > -(2 - 5)) and y unless z", "(x)", ">", 3.0),
    ],
)
def test_a_threshold_is_found_at_the_top(text: str, lhs: str, op: str, threshold: float) -> None:
    found = promql.split_condition(promql.parse(text).expr)
    assert found is not None
    assert (promql.format_node(found.comparison.left), found.comparison.op, found.number) == (lhs, op, threshold)


@pytest.mark.parametrize("text", ["x", "x > y", "x + 1", "x and y"])
def test_other_queries_have_no_threshold(text: str) -> None:
    found = promql.split_condition(promql.parse(text).expr)
    assert found is None or found.number is None


@pytest.mark.parametrize("text", ["1 + on (a) 2", "x / ignoring (a) 2", "1 * on () group_left x"])
def test_matching_needs_two_vectors(text: str) -> None:
    with pytest.raises(promql.ParseError, match="vector matching only allowed between"):
        promql.parse(text)


@pytest.mark.parametrize("text", ["x @ 1e13", "histogram_count(x)", 'x{a="1" or b="2"}'])
def test_what_is_not_supported_says_so(text: str) -> None:
    with pytest.raises(promql.UnsupportedError):
        promql.parse(text)


@pytest.mark.parametrize("text", ["mad_over_time(x[5m])", "limitk(1, x)", "holt_winters(x[5m], 0.1, 0.2)", "info(x)"])
def test_experimental_parts_must_be_switched_on(text: str) -> None:
    with pytest.raises(promql.ParseError, match="experimental"):
        promql.parse(text)
    promql.parse(text, experimental=True)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000 + "1" + ")" * 5000,
        "-" * 100_000 + "x",
        "1" + "+1" * 30_000,
        "x" * 200_000,
        "1" + "+1" * 499,
        "-" * 499 + "x",
    ],
)
def test_text_that_would_end_the_parser_is_refused(text: str) -> None:
    with pytest.raises(promql.ParseError):
        promql.parse(text)


def test_ignoring_nothing_is_written_where_a_group_needs_it() -> None:
    text = "x + ignoring () group_left (a) y"
    assert promql.parse(text).pretty() == text
