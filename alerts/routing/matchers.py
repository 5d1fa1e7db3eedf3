"""Alertmanager's matchers: `name="value"`, `!=`, `=~`, `!~`, in its UTF-8 syntax and in the classic one.

Source: prometheus/alertmanager `matcher/parse` and `pkg/labels`. Where both syntaxes take a text and disagree, the
classic reading counts, as in Alertmanager's fallback mode.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

OPERATORS = ("=", "!=", "=~", "!~")
LONGEST = 4096
NAME = r'"(?:[^"\\]|\\.)*"|[^\s{}!=~,\\"\'`]+'
UTF8 = re.compile(rf"\s*({NAME})\s*(=~|!~|!=|=)\s*({NAME})\s*", re.DOTALL)
CLASSIC = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)\s*(.*?)\s*", re.DOTALL)
PLAIN = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


class MatcherError(ValueError):
    """A text that is no matcher; says what is wrong with it."""


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    return re2.compile(f"^(?:{pattern})$", options)


@dataclass(frozen=True)
class Matcher:
    """One condition on a label. A label that is missing counts as empty; regular expressions (RE2) match the whole
    value."""

    name: str
    op: str
    value: str

    def __post_init__(self) -> None:
        if not self.name:
            raise MatcherError("a matcher needs a label name")
        if self.op not in OPERATORS:
            raise MatcherError(f"{self.op!r} is no operator: use one of {' '.join(OPERATORS)}")
        if len(self.name) > LONGEST or len(self.value) > LONGEST:
            raise MatcherError(f"a matcher is longer than {LONGEST} characters")
        if "~" in self.op:
            try:
                _compiled(self.value)
            except re2.error as error:
                said = error.args[0] if error.args else error
                reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
                raise MatcherError(f"{self.value!r} is no regular expression: {reason}") from None

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels fulfil it."""
        value = labels.get(self.name, "")
        if self.op == "=":
            return value == self.value
        if self.op == "!=":
            return value != self.value
        return bool(_compiled(self.value).search(value)) == (self.op == "=~")

    def __str__(self) -> str:
        name = self.name if PLAIN.fullmatch(self.name) else quote(self.name)
        return f"{name}{self.op}{quote(self.value)}"


Matchers = tuple[Matcher, ...]


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether the labels fulfil every one of them."""
    return all(matcher.matches(labels) for matcher in matchers)


def written(matchers: Iterable[Matcher]) -> str:
    """All of them as Alertmanager prints them: sorted, in braces."""
    ordered = sorted(matchers, key=lambda matcher: (matcher.name, matcher.value, matcher.op))
    return "{" + ",".join(map(str, ordered)) + "}"


def parse_matchers(text: str) -> Matchers:
    """The matchers of a text, with or without braces, separated by commas. MatcherError says what is wrong."""
    if len(text) > 16 * LONGEST:
        raise MatcherError("the matchers are too long")
    try:
        found = _parse_utf8(text)
    except MatcherError as error:
        try:
            return _parse_classic(text)
        except MatcherError:
            raise error from None
    try:
        return _parse_classic(text)
    except MatcherError:
        return found


def parse_matcher(text: str) -> Matcher:
    """Exactly one matcher."""
    found = parse_matchers(text)
    if len(found) != 1:
        raise MatcherError(f"{text!r} must be one matcher, as name=value")
    return found[0]


def _parse_utf8(text: str) -> Matchers:
    inner = _without_braces(text)
    found: list[Matcher] = []
    at = 0
    while inner[at:].strip():
        hit = UTF8.match(inner, at)
        if hit is None:
            raise MatcherError(f"{inner[at:].strip()[:80]!r} is no matcher: write name=value, name!=value, name=~regex")
        found.append(Matcher(_unquoted(hit[1]), hit[2], _unquoted(hit[3])))
        at = hit.end()
        if at < len(inner):
            if inner[at] != ",":
                raise MatcherError(f"there must be a comma before {inner[at:][:80]!r}")
            at += 1
    if not inner.strip() and inner is text:
        return ()
    return tuple(found)


def _parse_classic(text: str) -> Matchers:
    found = []
    parts = _split(_without_braces(text))
    for number, part in enumerate(parts):
        if not part.strip() and number == len(parts) - 1:
            continue
        hit = CLASSIC.fullmatch(part)
        if hit is None:
            raise MatcherError(f"bad matcher format: {part.strip()[:80]!r}")
        found.append(Matcher(hit[1], hit[2], _classic_value(hit[3])))
    return tuple(found)


def _without_braces(text: str) -> str:
    stripped = text.strip()
    opened, closed = stripped.startswith("{"), stripped.endswith("}")
    if opened and closed and len(stripped) > 1:
        return stripped[1:-1]
    if opened:
        raise MatcherError("the closing brace is missing")
    return stripped


def _split(text: str) -> list[str]:
    """The text at its commas outside of quotes."""
    parts, quoted, escaped = [""], False, False
    for letter in text:
        if letter == "," and not quoted:
            parts.append("")
            continue
        if letter == '"' and not escaped:
            quoted = not quoted
        escaped = letter == "\\" and not escaped
        parts[-1] += letter
    return parts


def _classic_value(text: str) -> str:
    """Quotes at the ends are optional but come in pairs; \\n, \\" and \\\\ are escapes, other backslashes stand for
    themselves."""
    quoted = text.startswith('"')
    if quoted:
        if len(text) < 2 or not text.endswith('"'):
            raise MatcherError(f"the value {text!r} contains an unescaped double quote")
        text = text[1:-1]
    value, escaped = "", False
    for letter in text:
        if escaped:
            value += {"n": "\n", '"': '"', "\\": "\\"}.get(letter, "\\" + letter)
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == '"':
            raise MatcherError(f"the value {text!r} contains an unescaped double quote")
        else:
            value += letter
    return value + "\\" if escaped else value


def _unquoted(token: str) -> str:
    """Go's strconv.Unquote of a quoted token; another one stands for itself."""
    if not token.startswith('"'):
        return token
    body = re.sub(r"\\x([0-9a-fA-F]{2})", r"\\u00\1", token)
    body = re.sub(r"\\U([0-9a-fA-F]{8})", lambda hit: json.dumps(chr(int(hit[1], 16)))[1:-1], body)
    body = body.replace("\\a", "\\u0007").replace("\\v", "\\u000b")
    try:
        return str(json.loads(body, strict=False))
    except ValueError:
        raise MatcherError(f"{token} is not a quoted string") from None


def quote(text: str) -> str:
    """In double quotes as Go prints it, for what people write."""
    return json.dumps(text, ensure_ascii=False)
