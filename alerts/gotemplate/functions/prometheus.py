"""The functions that Prometheus adds."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes, urlsplit

import re2

from alerts.gotemplate.bounds import MAX_QUERIES
from alerts.gotemplate.execute import Execution
from alerts.gotemplate.functions import humanize
from alerts.gotemplate.functions.builtins import BUILTINS
from alerts.gotemplate.functions.network import strip_domain, strip_port
from alerts.gotemplate.functions.regexes import compiled, matches, replace_all
from alerts.gotemplate.functions.signature import CallError, Function
from alerts.gotemplate.text.quote import quote
from alerts.gotemplate.values import AnyMap, Duration, Html, QueryResult, Sample, from_bytes, to_bytes

NIL_POINTER = "runtime error: invalid memory address or nil pointer dereference"
DURATION = re2.compile(
    r"^(?:([0-9]+)y)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?$"
)
MILLISECONDS = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1000, 1)


def query(execution: Execution, text: str) -> QueryResult:
    """The samples of an instant query, by whoever expands the template."""
    if execution.query is None:
        raise CallError("no queries can be run here")
    execution.queries += 1
    if execution.queries > MAX_QUERIES:
        raise CallError(f"more than {MAX_QUERIES} queries in one template")
    try:
        found = [Sample(dict(labels), float(value)) for labels, value in execution.query(text)]
    except Exception as error:
        raise CallError(str(error) or type(error).__name__) from error
    return QueryResult(found)


def first(samples: QueryResult | None) -> Sample:
    if not samples:
        raise CallError("first() called on vector with no elements")
    return samples[0]


def label(name: str, sample: Sample | None) -> str:
    return str(_given(sample).labels.get(name, ""))


def value(sample: Sample | None) -> float:
    return _given(sample).value


def strvalue(sample: Sample | None) -> str:
    return str(_given(sample).labels.get("__value__", ""))


def _given(sample: Sample | None) -> Sample:
    if sample is None:
        raise CallError(NIL_POINTER)
    return sample


def sort_by_label(name: str, samples: QueryResult | None) -> QueryResult | None:
    """In place and stable, as Prometheus does."""
    if samples is not None:
        samples.sort(key=lambda sample: to_bytes(str(sample.labels.get(name, ""))))
    return samples


def args(*arguments: Any) -> AnyMap:
    return AnyMap({f"arg{number}": one for number, one in enumerate(arguments)})


def upper(text: str) -> str:
    """strings.ToUpper: character by character, so that ß stays."""
    return text.upper() if text.isascii() else "".join([_upper(c) for c in text])


def _upper(c: str) -> str:
    for found in (c.upper(), c.title()):
        if len(found) == 1:
            return found
    return c


def lower(text: str) -> str:
    """strings.ToLower: character by character, whatever stands around."""
    return text.lower() if text.isascii() else "".join([c.lower()[:1] for c in text])


def title(text: str) -> str:
    """strings.Title: the first letter of every word in capitals, the others as they are."""
    parts: list[str] = []
    begins = True
    for c in text:
        parts.append(_title(c) if begins else c)
        begins = _separates(c)
    return "".join(parts)


def _title(c: str) -> str:
    found = c.title()
    return found if len(found) == 1 else c


def _separates(c: str) -> bool:
    if c.isascii():
        return not (c.isalnum() or c == "_")
    return c.isspace() and not (c.isalpha() or c.isdecimal())


def graph_link(expression: str) -> str:
    return f"/graph?g0.expr={quote_plus(to_bytes(expression))}&g0.tab=0"


def table_link(expression: str) -> str:
    return f"/graph?g0.expr={quote_plus(to_bytes(expression))}&g0.tab=1"


def parse_duration(text: str) -> float:
    """Seconds of a Prometheus duration: 1h30m is 5400."""
    return parse_duration_time(text).nanoseconds / 1e9


def parse_duration_time(text: str) -> Duration:
    if text == "0":
        return Duration(0)
    if not text:
        raise CallError("empty duration string")
    found = DURATION.match(text) if text.isascii() else None
    if found is None:
        raise CallError(f"not a valid duration string: {quote(text)}")
    numbers = [int(one or 0) if len(one or "") < 20 else 2**63 for one in found.groups()]
    milliseconds = sum(number * unit for number, unit in zip(numbers, MILLISECONDS, strict=True))
    if milliseconds * 1_000_000 >= 2**63:
        raise CallError("duration out of range")
    return Duration(milliseconds * 1_000_000)


def match(execution: Execution, pattern: str, text: str) -> bool:
    execution.check_time()
    return matches(compiled(pattern), text)


def re_replace_all(execution: Execution, pattern: str, replacement: str, text: str) -> str:
    execution.check_time()
    return replace_all(compiled(pattern), replacement, text, execution.check_time)


def url_unescape(text: str) -> str:
    """url.QueryUnescape: + is a space."""
    at = text.find("%")
    while at >= 0:
        pair = text[at + 1 : at + 3]
        if len(pair) < 2 or not all(c in "0123456789abcdefABCDEF" for c in pair):
            raise CallError(f"invalid URL escape {quote(text[at : at + 3])}")
        at = text.find("%", at + 3)
    return from_bytes(unquote_to_bytes(to_bytes(text.replace("+", " "))))


def path_prefix(execution: Execution) -> str:
    try:
        return urlsplit(execution.data.external_url).path
    except ValueError:
        return ""


def now(execution: Execution) -> float:
    return time.time() if execution.at is None else float(execution.at)


FUNCTIONS: dict[str, Function] = {
    **BUILTINS,
    "query": Function(query, ("string",), stateful=True),
    "first": Function(first, ("samples",)),
    "label": Function(label, ("string", "sample")),
    "value": Function(value, ("sample",)),
    "strvalue": Function(strvalue, ("sample",)),
    "sortByLabel": Function(sort_by_label, ("string", "samples")),
    "args": Function(args, (), "any"),
    "tmpl": Function(lambda execution, name, data: execution.rendered(name, data), ("string", "any"), stateful=True),
    "safeHtml": Function(Html, ("string",)),
    "match": Function(match, ("string", "string"), stateful=True),
    "reReplaceAll": Function(re_replace_all, ("string", "string", "string"), stateful=True),
    "title": Function(title, ("string",)),
    "toUpper": Function(upper, ("string",)),
    "toLower": Function(lower, ("string",)),
    "graphLink": Function(graph_link, ("string",)),
    "tableLink": Function(table_link, ("string",)),
    "stripPort": Function(strip_port, ("string",)),
    "stripDomain": Function(strip_domain, ("string",)),
    "urlUnescape": Function(url_unescape, ("string",)),
    "humanize": Function(humanize.humanize, ("any",)),
    "humanize1024": Function(humanize.humanize1024, ("any",)),
    "humanizeDuration": Function(humanize.humanize_duration, ("any",)),
    "humanizePercentage": Function(humanize.humanize_percentage, ("any",)),
    "humanizeTimestamp": Function(humanize.humanize_timestamp, ("any",)),
    "toTime": Function(humanize.to_time, ("any",)),
    "toDuration": Function(humanize.to_duration, ("any",)),
    "now": Function(now, (), stateful=True),
    "parseDuration": Function(parse_duration, ("string",)),
    "parseDurationTime": Function(parse_duration_time, ("string",)),
    "pathPrefix": Function(path_prefix, (), stateful=True),
    "externalURL": Function(lambda execution: execution.data.external_url, (), stateful=True),
}
"""All that a template can call. A stateful one gets the execution as its first argument."""
