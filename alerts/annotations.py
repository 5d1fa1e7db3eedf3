"""Templates in labels and annotations, as Prometheus expands them: `{{ $labels.model }}`, `{{ $value | humanize }}`, `{{ printf "%.2f" $value }}`.

Pipelines of values and functions are understood; actions (if, range, define) and queries are not. What cannot be expanded
becomes `<error expanding template: …>`, so that the alert is still sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

ACTION = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
TOKEN = re.compile(
    r"""\s*(?:
      "(?P<quoted>(?:[^"\\]|\\.)*)" | `(?P<raw>[^`]*)`
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)
    | (?P<label>(?:\$labels|\.Labels)\.[a-zA-Z_]\w*) | (?P<labels>\$labels|\.Labels) | (?P<value>\$value|\.Value)
    | (?P<function>[a-zA-Z_]\w*) | (?P<pipe>\|)
    )""",
    re.VERBOSE,
)
ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
LARGE, SMALL = "kMGTPEZY", "munpfazy"
ACTIONS = {"if", "else", "end", "range", "with", "define", "template", "block"}


class TemplateError(ValueError):
    """A template that cannot be expanded; the message says why."""


@dataclass(frozen=True)
class Term:
    """One word of a pipeline: `kind` is text, number, label, labels, value or function."""

    kind: str
    text: str


Pipeline = tuple[tuple[Term, ...], ...]


def expand(text: str, labels: Mapping[str, str], value: float) -> str:
    """The text with its templates filled in."""
    if "{{" not in text:
        return text
    try:
        parts = _parse(text)
        return "".join(part if isinstance(part, str) else _show(_run(part, labels, value)) for part in parts)
    except TemplateError as error:
        return f"<error expanding template: {error}>"


def uses_value(text: str) -> bool:
    """Whether the expansion depends on the value."""
    return "$value" in text or ".Value" in text


@lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[str | Pipeline, ...]:
    """Literal texts and pipelines, in order. Raises TemplateError."""
    parts: list[str | Pipeline] = []
    end, trim = 0, False
    for match in ACTION.finditer(text):
        literal = text[end : match.start()]
        literal = literal.lstrip() if trim else literal
        parts.append(literal.rstrip() if match[1] else literal)
        parts.append(_parse_pipeline(match[2]))
        end, trim = match.end(), bool(match[3])
    rest = text[end:]
    if "{{" in rest:
        raise TemplateError("unclosed action")
    parts.append(rest.lstrip() if trim else rest)
    return tuple(parts)


def _parse_pipeline(text: str) -> Pipeline:
    """`value | function argument | …`."""
    commands: list[tuple[Term, ...]] = []
    terms: list[Term] = []
    at = 0
    text = text.strip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise TemplateError(f"unexpected {text[at:].strip()!r}")
        at = match.end()
        kind, found = match.lastgroup, match[match.lastgroup]
        if kind == "pipe":
            commands.append(tuple(terms))
            terms = []
        elif kind == "quoted":
            terms.append(Term("text", re.sub(r"\\(.)", lambda m: ESCAPES.get(m[1], m[1]), found)))
        elif kind == "raw":
            terms.append(Term("text", found))
        elif kind == "label":
            terms.append(Term("label", found.rsplit(".", 1)[1]))
        else:
            terms.append(Term(kind, found))
    commands.append(tuple(terms))
    if not all(commands):
        raise TemplateError("missing value for command")
    return tuple(commands)


def _run(pipeline: Pipeline, labels: Mapping[str, str], value: float) -> Any:
    """The value of a pipeline; each command gets the one before as its last argument."""
    result: Any = None
    for number, (first, *rest) in enumerate(pipeline):
        arguments = [_term(term, labels, value) for term in rest]
        piped = [result] if number else []
        if first.kind == "function":
            result = _call(first.text, [*arguments, *piped])
        elif rest or piped:
            raise TemplateError(f"can't give argument to non-function {first.text}")
        else:
            result = _term(first, labels, value)
    return result


def _term(term: Term, labels: Mapping[str, str], value: float) -> Any:
    if term.kind == "label":
        return labels.get(term.text, "")
    if term.kind == "function":
        return _call(term.text, [])
    if term.kind == "number":
        return _number(term.text)
    return {"value": value, "labels": labels, "text": term.text}[term.kind]


def _call(name: str, arguments: list[Any]) -> Any:
    if name in ACTIONS:
        raise TemplateError(f"{{{{ {name} }}}} is not supported")
    if name not in FUNCTIONS:
        raise TemplateError(f'function "{name}" not defined')
    function, count = FUNCTIONS[name]
    if count is not None and len(arguments) != count:
        raise TemplateError(f"wrong number of args for {name}: want {count} got {len(arguments)}")
    return function(*arguments)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TemplateError(f"not a number: {value!r}") from None


def humanize(value: Any) -> str:
    """With a metric prefix: 12345 is 12.35k."""
    v = _number(value)
    if v == 0 or not math.isfinite(v):
        return _general(v)
    prefix = ""
    if abs(v) >= 1:
        for next_prefix in LARGE:
            if abs(v) < 1000:
                break
            v, prefix = v / 1000, next_prefix
    else:
        for next_prefix in SMALL:
            if abs(v) >= 1:
                break
            v, prefix = v * 1000, next_prefix
    return _general(v) + prefix


def humanize1024(value: Any) -> str:
    """With a binary prefix: 2048 is 2ki."""
    v = _number(value)
    if abs(v) <= 1 or not math.isfinite(v):
        return _general(v)
    prefix = ""
    for letter in LARGE:
        if abs(v) < 1024:
            break
        v, prefix = v / 1024, f"{letter}i"
    return _general(v) + prefix


def humanize_duration(value: Any) -> str:
    """Seconds as people write them: 3723 is 1h 2m 3s."""
    v = _number(value)
    if not math.isfinite(v):
        return _general(v)
    if v == 0 or abs(v) >= 1:
        sign, v = ("-", -v) if v < 0 else ("", v)
        whole = int(v)
        days, hours, minutes, seconds = whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60
        if days:
            return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
        if hours:
            return f"{sign}{hours}h {minutes}m {seconds}s"
        return f"{sign}{minutes}m {seconds}s" if minutes else f"{sign}{_general(v)}s"
    prefix = ""
    for next_prefix in SMALL:
        if abs(v) >= 1:
            break
        v, prefix = v * 1000, next_prefix
    return f"{_general(v)}{prefix}s"


def humanize_percentage(value: Any) -> str:
    """A ratio as percent: 0.123 is 12.3%."""
    return f"{_general(_number(value) * 100)}%"


def printf(template: Any, *arguments: Any) -> str:
    """C's printf for %s, %v, %d, %f, %g, %e, %q and %%."""
    if not isinstance(template, str):
        raise TemplateError("printf needs a format")
    left = list(arguments)

    def fill(match: re.Match[str]) -> str:
        if match[2] == "%":
            return "%"
        if not left:
            return f"%!{match[2]}(MISSING)"
        argument = left.pop(0)
        if match[2] in "sv":
            return f"%{match[1]}s" % _show(argument)
        if match[2] == "q":
            return '"' + _show(argument).replace("\\", "\\\\").replace('"', '\\"') + '"'
        if match[2] == "d" and not math.isfinite(_number(argument)):
            return _show(argument)
        return f"%{match[1]}{match[2]}" % _number(argument)

    return re.sub(r"%([-+ 0#]*\d*(?:\.\d+)?)([a-zA-Z%])", fill, template)


def _general(v: float) -> str:
    """Go's %.4g."""
    return _show(v) if not math.isfinite(v) else f"{v:.4g}"


def _show(value: Any) -> str:
    """As Go prints it: a float in the shortest form, with an exponent only below 1e-4 and from 1e21."""
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e21 else repr(value)


def _index(labels: Any, name: Any) -> str:
    if not isinstance(labels, Mapping):
        raise TemplateError("index needs $labels")
    return str(labels.get(str(name), ""))


FUNCTIONS: dict[str, tuple[Callable[..., Any], int | None]] = {
    "humanize": (humanize, 1),
    "humanize1024": (humanize1024, 1),
    "humanizeDuration": (humanize_duration, 1),
    "humanizePercentage": (humanize_percentage, 1),
    "printf": (printf, None),
    "index": (_index, 2),
    "toUpper": (lambda value: _show(value).upper(), 1),
    "toLower": (lambda value: _show(value).lower(), 1),
    "title": (lambda value: _show(value).title(), 1),
}
