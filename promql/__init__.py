"""PromQL over any source of series: numpy and promql-parser; knows nothing of Django.

`parse` a text once, evaluate it with `instant` at a time or with `range` over many, against a Source. Times are Unix
milliseconds. See docs/promql.md.
"""

from promql.engine import Engine, Listing
from promql.errors import EvalError, LimitError, ParseError, PromQLError, UnavailableError, UnsupportedError
from promql.evaluate import instant
from promql.evaluate import range_query as range
from promql.labels import Labels, LabelSets, Matcher, derive
from promql.limits import Limits
from promql.parse import Query, parse
from promql.result import Result
from promql.source import STALE_NAN, Block, Hints, MemorySource, Part, Snapshots, Source, snapshot_of

__all__ = [
    "STALE_NAN",
    "Block",
    "Engine",
    "EvalError",
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
    "Snapshots",
    "Source",
    "UnavailableError",
    "UnsupportedError",
    "derive",
    "instant",
    "parse",
    "range",
    "snapshot_of",
]
