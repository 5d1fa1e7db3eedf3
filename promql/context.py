"""What functions, aggregations and operators may ask of the evaluation they are part of."""

from typing import Protocol

from promql.ranges import RangeVector
from promql.result import Notes
from promql.syntax import Call, Node, Selector
from promql.values import Floats, Ints, Value, Vector


class Evaluation(Protocol):
    notes: Notes
    start_ms: int
    end_ms: int
    step_ms: int

    def value(self, node: Node, times: Ints) -> Value: ...

    def vector(self, node: Node, times: Ints) -> Vector: ...

    def scalar(self, node: Node, times: Ints) -> Floats: ...

    def text(self, node: Node) -> str: ...

    def range_vector(self, node: Node, times: Ints) -> RangeVector: ...

    def label_name(self, node: Node, function: str, what: str) -> str:
        """The text of an argument that must be a label's name. Raises EvalError."""
        ...

    def warn_of_sorting(self, call: Call) -> None:
        """Note that sorting is in vain, where it is: the answer to a range query has an order of its own."""
        ...

    def sample_times(self, node: Selector, times: Ints) -> Vector:
        """The times (s) of the samples that an instant selector selects."""
        ...

    def hold(self, rows: int, steps: int) -> None:
        """Raise LimitError if a matrix of this size is more than the query may use; called before it is made."""
        ...

    def info_times(self, node: Call, times: Ints) -> Vector:
        """The info series of an info() call, each with the times (s) of its samples."""
        ...
