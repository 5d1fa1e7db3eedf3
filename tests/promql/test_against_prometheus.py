"""Our answers are those of a real Prometheus.

Debian's is 2.42, which differs from 3 in these points, kept out of the comparison:
- ranges and look-back are closed on the left; all times here lie off the samples' grid, so no sample is on an edge;
- a counter that begins inside the window is stretched to its zero before the 1.1 rule, not after; counters begin at 0;
- atan2 keeps the metric name; stddev and stdvar of one NaN are 0;
- functions and aggregations that came later are not asked for.
"""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import promql
from tests.conftest import require_program
from tests.promql.prometheus_server import Answer, PrometheusServer, RefusedError, Series, serve_prometheus

STEP = 15_000
# Four seconds off the grids of all subqueries.
START = 1_700_006_404_000
SAMPLES = 480
RELATIVE_ERROR = 1e-9
# Off the grid of the samples (4 to 6 s after each quarter minute) and of every subquery.
FROM = START + 30 * 60_000 + 3_000
TO = START + 110 * 60_000 + 3_000

QUERIES = """
c_total
c_total{job="a"} offset 10m
c_total{job=~"a|b",inst!="0"}
c_total{job!~"a.*"} offset -5m
{__name__=~"c_.+",inst="1"}
c_total @ 1700010007
c_total @ start()
c_total @ end() offset 5m
rate(c_total[5m])
rate(c_total[1m])
increase(c_total[15m])
increase(c_total[24h])
delta(g[5m])
irate(c_total[5m])
idelta(g[5m])
resets(c_total[30m])
changes(g[10m])
deriv(g{i="0"}[5m])
predict_linear(g{i="0"}[10m], 600)
predict_linear(g{i="0"}[10m] offset 5m, 600)
holt_winters(g{i="0"}[10m], 0.3, 0.6)
avg_over_time(g[5m])
sum_over_time(g[5m])
sum_over_time(g[1h])
min_over_time(g[5m])
max_over_time(g[17m])
count_over_time(g[5m])
last_over_time(g[1m])
present_over_time(g[1m])
absent_over_time(gap[1m])
absent_over_time(nothing{a="b"}[1m])
stddev_over_time(g{i="0"}[5m])
stdvar_over_time(g{i!="0"}[5m])
quantile_over_time(0.9, g[5m])
quantile_over_time(scalar(h_bucket{g="0",le="+Inf"}) % 1, g[5m])
max_over_time(rate(c_total[5m])[10m:1m])
avg_over_time(g[10m:8s])
sum_over_time(sum(g{i="0"})[5m:])
rate(c_total[5m:30s] offset 3m)
sum_over_time(c_total[5m:1m] @ 1700010007)
min_over_time(max_over_time(g[130s:20s])[5m:1m])
sum(c_total)
sum by (job) (rate(c_total[5m]))
sum without (inst) (c_total)
avg by (job) (c_total)
avg(g)
min(g)
max by (i) (g)
count by (job) (c_total)
count(g > 0)
group by (job) (c_total)
stddev by (job) (c_total)
stdvar(g{i="0"})
topk(2, c_total)
bottomk by (job) (1, c_total)
topk(scalar(count(c_total)) - 3, c_total)
quantile(0.7, c_total)
quantile by (job) (0.2, c_total)
count_values("v", floor(g{i="0"}))
count_values by (job) ("v", ceil(c_total / 100))
1 + 2 * 3 ^ 2
-c_total
c_total * 2
2 ^ g
g % 3
-g % 3
c_total > 100
c_total > bool 100
100 <= c_total
c_total == c_total
c_total / on (job, inst) c_total offset 5m
c_total / ignoring (job, inst) group_left sum(c_total)
c_total * on (job, inst) group_left (version) meta
meta * on (job, inst) group_right (version) c_total
c_total > on (job, inst) meta * 50
sum by (job) (c_total) / on (job) group_right c_total
c_total and on (inst) g
c_total and ignoring (inst) c_total{inst="1"}
c_total or g
c_total unless c_total > 100
c_total or on (job) meta
gap or vector(0)
sum(gap) or vector(0)
gap + on () vector(1)
atan2(1, 2)
sum by (job, inst) (c_total) atan2 on (job, inst) sum by (job, inst) (c_total) * 2
c_total + on (job) c_total
c_total + on (job) group_left meta
abs(g)
ceil(g)
floor(g)
round(g)
round(g, 0.3)
sgn(g)
sqrt(abs(g))
exp(g / 100)
ln(g)
log2(g)
log10(g)
clamp(g, -1, 1)
clamp(g, 1, -1)
clamp_min(g, 0)
clamp_max(g, 0)
clamp_min(g, NaN)
sin(g) + cos(g) + tan(g)
asin(g / 100) + acos(g / 100) + atan(g)
sinh(g / 100) + cosh(g / 100) + tanh(g)
asinh(g) + acosh(g) + atanh(g / 100)
deg(g) + rad(g)
pi()
time()
timestamp(c_total)
timestamp(gap)
timestamp(c_total * 1)
vector(time())
scalar(c_total)
scalar(sum(c_total))
absent(gap)
absent(nothing{a="b",c=~"d",e="f",e="g"})
absent(sum(nothing))
minute() + hour() * 100
day_of_week(vector(time() * 3)) + day_of_month(vector(time() * 3)) + month(vector(time() * 3))
day_of_year(vector(time() * 5)) + days_in_month(vector(time() * 5)) + year(vector(time() * 5))
label_replace(c_total, "x", "$1-${1}$$", "job", "(.*)")
label_replace(c_total, "job", "", "job", "a")
label_replace(c_total, "x", "$2", "job", "(.)")
label_replace(c_total, "inst", "same", "inst", ".*")
label_join(c_total, "x", "-", "job", "inst", "none")
histogram_quantile(0.9, rate(h_bucket[5m]))
histogram_quantile(0.5, sum by (le) (rate(h_bucket[5m])))
histogram_quantile(0.99, h_bucket)
histogram_quantile(0, h_bucket)
histogram_quantile(1, h_bucket)
histogram_quantile(-1, h_bucket)
histogram_quantile(2, h_bucket)
histogram_quantile(NaN, h_bucket)
histogram_quantile(0.5, c_total)
histogram_quantile(0.9, h_bucket{le!="+Inf"})
histogram_quantile(0.9, h_bucket{le=~"1|.Inf"})
sort(g)
abs({__name__=~"c_total|meta"})
changes({__name__=~"c_total|g"}[5m])
sum({__name__=~"c_total|g"})
100 * (1 - sum by (job) (increase(c_total{inst="0"}[15m])) / clamp_min(sum by (job) (increase(c_total[15m])), 1))
sum by (job) (increase(c_total[15m])) > 3 * sum by (job) (increase(c_total[24h])) / 96
""".strip().splitlines()


def counter(generator: np.random.Generator, resets: int) -> np.ndarray:
    values = np.r_[0.0, np.cumsum(generator.integers(0, 9, SAMPLES - 1))]
    for place in generator.integers(100, SAMPLES - 1, resets):
        values[place:] -= values[place]
    return np.abs(values)


def make_series() -> list[Series]:
    generator = np.random.default_rng(7)
    times = START + STEP * np.arange(SAMPLES)
    series: list[Series] = []
    for job in ("a", "b", "c"):
        for inst in ("0", "1"):
            labels = {"job": job, "inst": inst}
            series.append(({"__name__": "c_total", **labels}, times, counter(generator, 2)))
            series.append(({"__name__": "meta", **labels, "version": f"v{inst}"}, times, np.ones(SAMPLES)))
    late = np.r_[0.0, np.cumsum(generator.integers(1, 4, 99))]
    series.append(({"__name__": "c_total", "job": "late", "inst": "1"}, times[300:400], late))
    for index in range(4):
        values = generator.normal(0, 10, SAMPLES).round(3)
        if index == 1:
            values[generator.integers(0, SAMPLES, 40)] = np.nan
        if index == 2:
            values[generator.integers(0, SAMPLES, 10)] = np.inf
            values[generator.integers(0, SAMPLES, 10)] = -np.inf
        kept = np.sort(generator.choice(SAMPLES, SAMPLES - 60 * index, replace=False))
        jitter = generator.integers(0, 3, kept.size) * (index == 3)
        series.append(({"__name__": "g", "i": str(index)}, times[kept] + jitter * 1000, values[kept]))
    holes = np.r_[0:100, 200:260, 300:SAMPLES]
    series.append(({"__name__": "gap", "inst": "1"}, times[holes], np.arange(holes.size, dtype=np.float64)))
    series += histograms(generator, times)
    return series


def histograms(generator: np.random.Generator, times: np.ndarray) -> Iterator[Series]:
    for group in ("0", "1", "2"):
        counts = np.cumsum(generator.integers(0, 5, (5, SAMPLES)), axis=0)
        counts[:, 0] = 0
        for bound, row in zip(("0.1", "0.5", "1", "5", "+Inf"), counts, strict=True):
            yield {"__name__": "h_bucket", "g": group, "le": bound}, times, np.cumsum(row).astype(np.float64)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    programs = require_program("prometheus"), require_program("promtool")
    with serve_prometheus(*programs, tmp_path_factory.mktemp("prometheus"), make_series()) as server:
        yield server


@pytest.fixture(scope="module")
def source() -> promql.MemorySource:
    memory = promql.MemorySource()
    for labels, times, values in make_series():
        memory.add(labels, times, values)
    return memory


def as_answer(result: promql.Result) -> Answer:
    return {
        frozenset(labels.items()): {
            int(time): float(value)
            for time, value, there in zip(result.times, result.values[row], result.present[row], strict=True)
            if there
        }
        for row, labels in enumerate(result.labels)
    }


def assert_same(ours: Answer, theirs: Answer) -> None:
    assert set(ours) == set(theirs)
    for labels, samples in theirs.items():
        assert list(ours[labels]) == sorted(samples), labels
        for time, value in samples.items():
            got = ours[labels][time]
            same = got == value or (math.isnan(got) and math.isnan(value))
            assert same or math.isclose(got, value, rel_tol=RELATIVE_ERROR, abs_tol=1e-9), (labels, time, got, value)


def compare(prometheus: PrometheusServer, source: promql.MemorySource, query: str) -> None:
    for ask_theirs, ask_ours in (
        (lambda: prometheus.instant(query, TO), lambda: promql.instant(parse(query), source, TO)),
        (
            lambda: prometheus.range(query, FROM, TO, 600_000),
            lambda: promql.range(parse(query), source, FROM, TO, 600_000),
        ),
    ):
        try:
            theirs = ask_theirs()
        except RefusedError as refusal:
            with pytest.raises(promql.PromQLError):
                print(refusal, ask_ours())
            continue
        assert_same(as_answer(ask_ours()), theirs)


def parse(query: str) -> promql.Query:
    return promql.parse(query, experimental=True)


@pytest.mark.parametrize("query", QUERIES)
def test_the_answer_is_that_of_prometheus(
    prometheus: PrometheusServer, source: promql.MemorySource, query: str
) -> None:
    compare(prometheus, source, query)


MINUTES = st.integers(1, 40).map(lambda minutes: f"{minutes}m")
GROUPING = st.sampled_from(
    ["", " by (job)", " without (inst)", " by (job, inst)", " by (i)", " by (le)", " without (le, g)"]
)
COUNTERS = st.sampled_from(["c_total", 'c_total{job="a"}', 'c_total{inst!="0"}', "h_bucket", 'h_bucket{le=~"1|.Inf"}'])
GAUGES = st.sampled_from(["g", 'g{i="0"}', 'g{i=~"1|2"}', "gap", "meta", "nothing"])
OFFSETS = st.one_of(st.just(""), MINUTES.map(lambda length: f" offset {length}"), st.just(" @ 1700010007"))
OVER_TIME = st.sampled_from(["avg", "sum", "min", "max", "count", "last", "present", "stddev", "stdvar"]).map(
    lambda name: f"{name}_over_time"
)
NUMBERS = st.sampled_from(["0.37", "-2.5", "3", "0", "Inf", "NaN", "time()", "scalar(sum(c_total))"])


def over_range(selector: str, length: str, offset: str, function: str) -> str:
    return f"{function}({selector}[{length}]{offset})"


LEAVES = st.one_of(
    st.builds(lambda selector, offset: selector + offset, st.one_of(COUNTERS, GAUGES), OFFSETS),
    st.builds(over_range, COUNTERS, MINUTES, OFFSETS, st.sampled_from(["rate", "increase", "irate", "resets"])),
    st.builds(
        over_range, GAUGES, MINUTES, OFFSETS, st.one_of(OVER_TIME, st.sampled_from(["delta", "changes", "idelta"]))
    ),
    st.builds(
        lambda selector, length, offset, function: f"{function}({selector}[{length}:1m]{offset})",
        st.one_of(COUNTERS, GAUGES),
        MINUTES,
        OFFSETS,
        OVER_TIME,
    ),
)


def wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    matching = st.sampled_from(["", " on (job)", " on (job, inst)", " ignoring (inst)", " on (i) group_left", " on ()"])
    return st.one_of(
        st.builds(lambda op, grouping, expr: f"{op}{grouping} ({expr})", AGGREGATIONS, GROUPING, inner),
        st.builds(lambda function, expr: f"{function}({expr})", FUNCTIONS, inner),
        st.builds(lambda left, op, right: f"({left}) {op} {right}", inner, OPERATORS, NUMBERS),
        st.builds(lambda left, op, right: f"{left} {op} ({right})", NUMBERS, OPERATORS, inner),
        st.builds(lambda left, op, on, right: f"({left}) {op}{on} ({right})", inner, OPERATORS, matching, inner),
        st.builds(
            lambda left, op, on, right: f"({left}) {op}{on.replace(' group_left', '')} ({right})",
            inner,
            st.sampled_from(["and", "or", "unless"]),
            matching,
            inner,
        ),
        st.builds(lambda quantile, expr: f"histogram_quantile({quantile}, {expr})", NUMBERS, inner),
    )


AGGREGATIONS = st.sampled_from(["sum", "avg", "min", "max", "count", "group"])
FUNCTIONS = st.sampled_from(
    ["abs", "ceil", "floor", "sgn", "absent", "timestamp", "vector(1) + on () group_right ", "-", ""]
)
OPERATORS = st.sampled_from(["+", "-", "*", "/", ">", "<=", "!=", "> bool", "== bool"])
EXPRESSIONS = st.recursive(LEAVES, wider, max_leaves=4)


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(query=EXPRESSIONS)
def test_generated_queries_answer_as_prometheus_does(
    prometheus: PrometheusServer, source: promql.MemorySource, query: str
) -> None:
    compare(prometheus, source, query)
