"""No text, however odd, ends in anything but an answer or a PromQLError.

PROMQL_FUZZ_EXAMPLES sets the number of queries per test; 100000 take some minutes.
"""

import os
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import promql
from tests.promql.casefile import Case
from tests.promql.test_cases import CASES

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
EXAMPLES = int(os.environ.get("PROMQL_FUZZ_EXAMPLES", "1000"))
LIMITS = promql.Limits(max_samples=200_000, max_series=1000, max_steps=500, timeout_seconds=5)
FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])

FUNCTIONS = [
    "abs",
    "absent",
    "absent_over_time",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "avg_over_time",
    "ceil",
    "changes",
    "clamp",
    "clamp_max",
    "clamp_min",
    "cos",
    "cosh",
    "count_over_time",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "deg",
    "delta",
    "deriv",
    "double_exponential_smoothing",
    "end",
    "exp",
    "first_over_time",
    "floor",
    "histogram_avg",
    "histogram_count",
    "histogram_fraction",
    "histogram_quantile",
    "histogram_quantiles",
    "histogram_stddev",
    "histogram_stdvar",
    "histogram_sum",
    "holt_winters",
    "hour",
    "idelta",
    "increase",
    "info",
    "irate",
    "label_join",
    "label_replace",
    "last_over_time",
    "ln",
    "log10",
    "log2",
    "mad_over_time",
    "max_of",
    "max_over_time",
    "min_of",
    "min_over_time",
    "minute",
    "month",
    "pi",
    "predict_linear",
    "present_over_time",
    "quantile_over_time",
    "rad",
    "range",
    "rate",
    "resets",
    "round",
    "scalar",
    "sgn",
    "sin",
    "sinh",
    "sort",
    "sort_by_label",
    "sort_by_label_desc",
    "sort_desc",
    "sqrt",
    "start",
    "stddev_over_time",
    "stdvar_over_time",
    "step",
    "sum_over_time",
    "tan",
    "tanh",
    "time",
    "timestamp",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
    "vector",
    "year",
]
AGGREGATIONS = [
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "quantile",
    "count_values",
    "limitk",
    "limit_ratio",
]
OPERATORS = ["+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless", "atan2"]
NUMBERS = [
    "0",
    "1",
    "-1",
    "0.5",
    "1e308",
    "-1e308",
    "1e-320",
    "Inf",
    "-Inf",
    "NaN",
    "0x1f",
    "5m",
    "1e18",
    "9223372036854775808",
    "1e300",
]
COMPUTED = [
    "step()",
    "range()",
    "(1m)",
    "-1m + 2m",
    "5m * 2",
    "1m / (step() - 67)",
    "range() % 7s",
    "2 ^ 2 ^ 3",
    "max_of(step(), 1m)",
    "(min_of(range(), -5m) + 1h)",
    "(step() ^ 99)",
]
DURATIONS = ["1ms", "1s", "7s", "15s", "1m", "5m", "1h", "1d", "1w", "1y", "300y", "999999y", "0.5", "60"]
TOKENS = [
    *FUNCTIONS, *AGGREGATIONS, *OPERATORS, *NUMBERS, *DURATIONS, "x", "h_bucket", "target_info", "(", ")", "[", "]",
    "{", "}", ",", "=", "=~", "!~", '"', "'", "`", "a", "le", "job", "by", "without", "on", "ignoring", "group_left",
    "group_right", "bool", "offset", "@", ":", "fill", "fill_left", "fill_right", '"$1"', '"(.*)"', '"("', '"\\xff"',
    "#", "\n", "日本", "\x00", "start()", "end()", "__name__", "anchored", "smoothed", "step()", "range()", "max_of(",
    '{"x"}', "{{", "1_0", "0x1p2", "\\",
]  # fmt: skip

LABEL = st.sampled_from(["a", "job", "le", "__name__", "instance", "nothing"])
MATCHER = st.builds(
    lambda name, op, value: f'{name}{op}"{value}"',
    LABEL,
    st.sampled_from(["=", "!=", "=~", "!~"]),
    st.sampled_from(["x", "y", "", ".*", ".+", "1", "(a|x)*", "[^\\\\w]", "a{1,3}"]),
)
SELECTOR = st.builds(
    lambda name, matchers: f"{name}{{{','.join(matchers)}}}",
    st.sampled_from(["x", "h_bucket", "target_info", "nothing", "", "fill", "offset", "and"]),
    st.lists(MATCHER, max_size=2),
)
LENGTH = st.sampled_from([*DURATIONS, *COMPUTED])
SHIFT = st.one_of(
    st.just(""),
    st.sampled_from(COMPUTED).map(lambda length: f" offset {length}"),
    st.sampled_from(COMPUTED).map(lambda length: f" offset -({length})"),
    st.sampled_from(DURATIONS).map(lambda length: f" offset {length}"),
    st.sampled_from(DURATIONS).map(lambda length: f" offset -{length}"),
    st.sampled_from([" @ -5", " @ start()", " @ end()", " @ 300", " @ 0", " @ 1e9", " @ 1e10", " @ 1e18"]),
)
STRING = st.sampled_from(
    ['"a"', '"le"', '"__name__"', '""', '"$1"', '"(.*)"', '"("', '"b c"', '"(?P<n>.)"', '"${n}$9$"']
)


GROUPING = st.builds(
    lambda word, labels: f" {word} ({','.join(labels)})",
    st.sampled_from(["by", "without"]),
    st.lists(LABEL, max_size=2),
)
MATCHING = st.builds(
    lambda word, labels, group: f" {word} ({','.join(labels)}) {group} ",
    st.sampled_from(["on", "ignoring"]),
    st.lists(LABEL, max_size=2),
    st.sampled_from(["", "group_left", "group_right (a)", "group_left (le)", "fill (1)", "fill_left (NaN)"]),
)


def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    argument = st.one_of(inner, STRING, st.sampled_from(NUMBERS))
    return st.one_of(
        st.builds(
            lambda name, args: f"{name}({', '.join(args)})", st.sampled_from(FUNCTIONS), st.lists(argument, max_size=5)
        ),
        st.builds(lambda name, arg: f"{name}({arg})", st.sampled_from(FUNCTIONS), inner),
        st.builds(
            lambda op, by, param, arg: f"{op}{by} ({param}{arg})",
            st.sampled_from(AGGREGATIONS),
            st.one_of(st.just(""), GROUPING),
            st.one_of(st.just(""), argument.map(lambda text: f"{text}, ")),
            inner,
        ),
        st.builds(
            lambda left, op, on, right: f"({left}) {op}{on} ({right})",
            argument,
            st.sampled_from([*OPERATORS, "== bool", "> bool"]),
            st.one_of(st.just(" "), MATCHING),
            argument,
        ),
        st.builds(
            lambda expr, length, step, shift: f"({expr})[{length}:{step}]{shift}",
            inner,
            LENGTH,
            st.one_of(st.just(""), LENGTH),
            SHIFT,
        ),
        inner.map(lambda expr: f"-({expr})"),
    )


LEAF = st.one_of(
    st.builds(lambda selector, shift: selector + shift, SELECTOR, SHIFT),
    st.builds(lambda selector, length, shift: f"{selector}[{length}]{shift}", SELECTOR, LENGTH, SHIFT),
    st.builds(
        lambda function, selector, length, extension, shift: f"{function}({selector}[{length}] {extension}{shift})",
        st.sampled_from(["rate", "increase", "delta", "resets", "changes"]),
        SELECTOR,
        LENGTH,
        st.sampled_from(["anchored", "smoothed"]),
        SHIFT,
    ),
    st.builds(lambda selector, shift: f"{selector} smoothed{shift}", SELECTOR, SHIFT),
    st.sampled_from(NUMBERS),
)
GENERATED = st.recursive(LEAF, deeper, max_leaves=5)
SCRAMBLED = st.lists(st.sampled_from(TOKENS), max_size=25).flatmap(
    lambda tokens: st.sampled_from([" ".join(tokens), "".join(tokens)])
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A query of the case files with a few pieces cut, doubled, moved or replaced."""
    case: Case = draw(st.sampled_from(CASES))
    text = case.expr
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        piece = draw(st.one_of(st.just(""), st.just(text[start:end] * 2), st.sampled_from(TOKENS), st.text(max_size=4)))
        text = text[:start] + piece + text[end:]
    return text


def make_source() -> promql.MemorySource:
    source = promql.MemorySource()
    times = np.arange(0, 900_000, 15_000)
    values = np.arange(times.size, dtype=np.float64)
    odd = np.array([0, 1, np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, promql.STALE_NAN, -0.0])
    for index, a in enumerate("xyz"):
        labels = {"a": a, "job": "1", "instance": a}
        source.add({"__name__": "x", **labels}, times[index:], values[index:] * (index + 1))
        source.add({"__name__": "target_info", **labels, "version": str(index)}, times, np.ones(times.size))
        for le in ("1", "2.5", "+Inf", "bad"):
            source.add({"__name__": "h_bucket", "a": a, "le": le}, times, values * (index + 1))
    source.add({"__name__": "x", "a": "odd"}, times, np.resize(odd, times.size))
    return source


SOURCE = make_source()


def ask(text: str) -> None:
    try:
        query = promql.parse(text, experimental=True)
        query.pretty()
        promql.split_condition(query.expr)
    except promql.PromQLError:
        return
    for evaluate in (
        lambda: promql.instant(query, SOURCE, 600_000, limits=LIMITS),
        lambda: promql.range(query, SOURCE, 0, 900_000, 67_000, limits=LIMITS),
    ):
        with suppress(promql.PromQLError):
            result = evaluate()
            assert result.values.shape == result.present.shape == (len(result.labels), result.times.size)


@FUZZ
@given(GENERATED)
def test_a_generated_query_ends_in_an_answer_or_an_error(text: str) -> None:
    ask(text)


@FUZZ
@given(GENERATED)
def test_the_canonical_text_means_the_same(text: str) -> None:
    try:
        query = promql.parse(text, experimental=True)
    except promql.PromQLError:
        return
    again = promql.parse(query.pretty(), experimental=True)
    assert again.pretty() == query.pretty()
    with suppress(promql.PromQLError):
        first, second = (promql.instant(one, SOURCE, 600_000, limits=LIMITS) for one in (query, again))
        assert first.labels == second.labels
        np.testing.assert_array_equal(first.values, second.values)


@FUZZ
@given(mutated())
def test_a_mutated_query_ends_in_an_answer_or_an_error(text: str) -> None:
    ask(text)


@FUZZ
@given(st.one_of(SCRAMBLED, st.text(max_size=60)))
def test_any_text_ends_in_an_answer_or_an_error(text: str) -> None:
    ask(text)
