"""The shape of a function that evaluates its own arguments."""

from collections.abc import Callable

from promql.context import Evaluation
from promql.syntax import Call
from promql.values import Ints, Value

Special = Callable[[Evaluation, Call, Ints], Value]
