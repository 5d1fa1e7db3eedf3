"""What a query answers."""

from dataclasses import dataclass, field

import numpy as np

from promql.labels import Labels
from promql.text_forms import format_value
from promql.values import Bools, Floats, Ints


@dataclass
class Result:
    """The answer: one row per series, one column per time.

    `type` is vector, matrix, scalar or string. A scalar is one row without labels; a string is in `string`, with its
    time. Where `present` is false there is no sample; NaN is a value like any other. `warnings` and `infos` are
    Prometheus's annotations.
    """

    type: str
    labels: list[Labels]
    times: Ints
    values: Floats
    present: Bools
    string: str | None = None
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)


@dataclass
class Notes:
    """Annotations gathered during an evaluation, each once."""

    warnings: dict[str, None] = field(default_factory=dict)
    infos: dict[str, None] = field(default_factory=dict)

    def warn(self, text: str) -> None:
        self.warnings[f"PromQL warning: {text}"] = None

    def inform(self, text: str) -> None:
        self.infos[f"PromQL info: {text}"] = None

    def check_quantile(self, quantile: Floats) -> None:
        """Warn of quantiles that are none."""
        for value in np.unique(quantile[~((quantile >= 0) & (quantile <= 1))]):
            self.warn(f"quantile value should be between 0 and 1, got {format_value(float(value))}")


def one_row(values: Floats) -> tuple[Floats, Bools]:
    """A scalar's values as a matrix of one present row."""
    return values.reshape(1, -1), np.ones((1, values.size), dtype=bool)
