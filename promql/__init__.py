"""PromQL over any source of series: a parser and an engine on numpy; knows nothing of Django.

`parse` a text once, evaluate it with `instant` at a time or with `range` over many, against a Source. Times are Unix
milliseconds. See docs/promql.md.
"""

from promql.engine import Engine, Listing
from promql.errors import EvalError, LimitError, ParseError, PromQLError, UnavailableError, UnsupportedError
from promql.evaluate import instant
from promql.evaluate import range_query as range
from promql.folding import FoldedSource
from promql.labels import Labels, LabelSets, Matcher, derive
from promql.limits import Limits
from promql.parse import Query, parse
from promql.parser.condition import Condition, split_condition
from promql.parser.numbers import parse_duration
from promql.parser.printer import format_node
from promql.result import Result
from promql.shared_reads import SharedReads, share_reads
from promql.source import (
    STALE_NAN,
    Block,
    Fold,
    Hints,
    MemorySource,
    Part,
    Snapshots,
    Source,
    Summing,
    SumNeed,
    snapshot_of,
    sums_of,
)

__all__ = [
    "STALE_NAN",
    "Block",
    "Condition",
    "Engine",
    "EvalError",
    "Fold",
    "FoldedSource",
    "Hints",
    "LabelSets",
    "Labels",
    "LimitError",
    "Limits",
    "Listing",
    "Matcher",
    "MemorySource",
    "ParseError",
    "Part",
    "PromQLError",
    "Query",
    "Result",
    "SharedReads",
    "Snapshots",
    "Source",
    "SumNeed",
    "Summing",
    "UnavailableError",
    "UnsupportedError",
    "derive",
    "format_node",
    "instant",
    "parse",
    "parse_duration",
    "range",
    "share_reads",
    "snapshot_of",
    "split_condition",
    "sums_of",
]
