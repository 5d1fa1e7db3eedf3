"""The result of a query, with its annotations."""

from dataclasses import dataclass, field

import numpy as np

from promql.labels import Labels
from promql.syntax import Node
from promql.text_forms import format_value
from promql.values import Bools, Floats, Ints

LINE_END = "\n"


@dataclass
class Result:
    """One row per series, one column per time.

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
    """The annotations of one evaluation, each once and with the line and column of the expression that it is about."""

    text: str = ""
    place: int = 0
    warnings: dict[str, None] = field(default_factory=dict)
    infos: dict[str, None] = field(default_factory=dict)

    def at(self, node: Node) -> "Notes":
        """These notes, for annotations about this expression."""
        return Notes(self.text, node.start, self.warnings, self.infos)

    def warn(self, text: str) -> None:
        self.warnings[f"PromQL warning: {text} {self._position()}"] = None

    def inform(self, text: str) -> None:
        self.infos[f"PromQL info: {text} {self._position()}"] = None

    def _position(self) -> str:
        before = self.text[: self.place]
        return f"({before.count(LINE_END) + 1}:{len(before) - before.rfind(LINE_END)})"

    def check_quantile(self, quantile: Floats) -> None:
        """Warn of quantiles outside of 0 to 1."""
        for value in np.unique(quantile[~((quantile >= 0) & (quantile <= 1))]):
            self.warn(f"quantile value should be between 0 and 1, got {format_value(float(value))}")


def one_row(values: Floats) -> tuple[Floats, Bools]:
    """A scalar's values as a matrix of one row."""
    return values.reshape(1, -1), np.ones((1, values.size), dtype=bool)
