"""The functions and aggregations of PromQL: what they take and what they answer."""

from dataclasses import dataclass

SCALAR, VECTOR, MATRIX, STRING = "scalar", "vector", "matrix", "string"

TYPE_NAMES = {SCALAR: "scalar", VECTOR: "instant vector", MATRIX: "range vector", STRING: "string"}
"""How Prometheus calls the types in its messages."""


@dataclass(frozen=True)
class Signature:
    """`variadic` is how many arguments may follow those before the last, which may be absent then; -1 is any number."""

    name: str
    args: tuple[str, ...]
    variadic: int = 0
    answer: str = VECTOR
    experimental: bool = False

    @property
    def fewest(self) -> int:
        return len(self.args) - 1 if self.variadic else len(self.args)

    @property
    def most(self) -> int | None:
        """None where there is no bound."""
        if self.variadic < 0:
            return None
        return self.fewest + self.variadic if self.variadic else len(self.args)


_OF_A_VECTOR = """
abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor histogram_avg histogram_count histogram_stddev
histogram_stdvar histogram_sum ln log10 log2 rad sgn sin sinh sort sort_desc sqrt tan tanh timestamp
"""
_OF_A_RANGE = """
absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta increase irate last_over_time
max_over_time min_over_time present_over_time rate resets stddev_over_time stdvar_over_time sum_over_time
"""
_EXPERIMENTAL_OF_A_RANGE = (
    "mad_over_time ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time"
)
_DATES = "day_of_month day_of_week day_of_year days_in_month hour minute month year"

SIGNATURES = {
    one.name: one
    for one in (
        *(Signature(name, (VECTOR,)) for name in _OF_A_VECTOR.split()),
        *(Signature(name, (MATRIX,)) for name in _OF_A_RANGE.split()),
        *(Signature(name, (MATRIX,), experimental=True) for name in _EXPERIMENTAL_OF_A_RANGE.split()),
        *(Signature(name, (VECTOR,), variadic=1) for name in _DATES.split()),
        *(Signature(name, (), answer=SCALAR) for name in ("pi", "time")),
        *(Signature(name, (), answer=SCALAR, experimental=True) for name in ("end", "range", "start", "step")),
        *(Signature(name, (SCALAR, SCALAR), answer=SCALAR, experimental=True) for name in ("max_of", "min_of")),
        # Prometheus 3 renamed holt_winters; rules written before still use the old name.
        *(
            Signature(name, (MATRIX, SCALAR, SCALAR), experimental=True)
            for name in ("double_exponential_smoothing", "holt_winters")
        ),
        *(
            Signature(name, (VECTOR, STRING), variadic=-1, experimental=True)
            for name in ("sort_by_label", "sort_by_label_desc")
        ),
        *(Signature(name, (VECTOR, SCALAR)) for name in ("clamp_max", "clamp_min")),
        Signature("clamp", (VECTOR, SCALAR, SCALAR)),
        Signature("histogram_fraction", (SCALAR, SCALAR, VECTOR)),
        Signature("histogram_quantile", (SCALAR, VECTOR)),
        Signature("histogram_quantiles", (VECTOR, STRING, SCALAR, SCALAR), variadic=9, experimental=True),
        Signature("info", (VECTOR, VECTOR), variadic=1, experimental=True),
        Signature("label_join", (VECTOR, STRING, STRING, STRING), variadic=-1),
        Signature("label_replace", (VECTOR, STRING, STRING, STRING, STRING)),
        Signature("predict_linear", (MATRIX, SCALAR)),
        Signature("quantile_over_time", (SCALAR, MATRIX)),
        Signature("round", (VECTOR, SCALAR), variadic=1),
        Signature("scalar", (VECTOR,), answer=SCALAR),
        Signature("vector", (SCALAR,)),
    )
}

AGGREGATIONS: dict[str, str | None] = {
    **dict.fromkeys(("avg", "count", "group", "max", "min", "stddev", "stdvar", "sum")),
    **dict.fromkeys(("bottomk", "limit_ratio", "limitk", "quantile", "topk"), SCALAR),
    "count_values": STRING,
}
"""Each aggregation with the type of its parameter, None where it has none."""

EXPERIMENTAL_AGGREGATIONS = frozenset({"limitk", "limit_ratio"})
NATIVE_HISTOGRAMS_ONLY = frozenset(
    {"histogram_avg", "histogram_count", "histogram_sum", "histogram_stddev", "histogram_stdvar"}
)

SMOOTHABLE = ("delta", "increase", "rate")
ANCHORABLE = ("changes", "delta", "increase", "rate", "resets")
"""The functions that a `smoothed` or an `anchored` range can be given to."""
