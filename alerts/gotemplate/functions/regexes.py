"""Go's regexp by RE2: a search takes time by the text's length, whatever the pattern."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

from alerts.gotemplate.bounds import MAX_OUTPUT, MAX_PATTERN, TooLong
from alerts.gotemplate.functions.signature import CallError
from alerts.gotemplate.values import to_bytes

MEMORY = 1 << 20
"""Bytes that one compiled pattern may take."""


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """Raises CallError."""
    if len(pattern) > MAX_PATTERN:
        raise CallError(f"error parsing regexp: the expression is longer than {MAX_PATTERN} characters")
    if valid(pattern) != pattern:
        raise CallError(f"error parsing regexp: invalid UTF-8: `{pattern}`")
    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise CallError(f"error parsing regexp: {reason}") from None


def valid(text: str) -> str:
    """The text with U+FFFD for what is no UTF-8."""
    return text if text.isascii() else to_bytes(text).decode("utf-8", "replace")


def matches(pattern: Any, text: str) -> bool:
    return pattern.search(valid(text)) is not None


def replace_all(pattern: Any, replacement: str, text: str, check: Callable[[], None]) -> str:
    """ReplaceAllString; `check` is called between matches. Raises TooLong."""
    text = valid(text)
    pieces = _pieces(replacement, pattern.groups, pattern.groupindex)
    parts: list[str] = []
    size, end, last = 0, 0, -1
    for number, match in enumerate(pattern.finditer(text)):
        start, stop = match.span()
        # Go leaves out an empty match right behind another.
        if start == stop == last:
            continue
        parts.append(text[end:start])
        parts.extend([piece if isinstance(piece, str) else match.group(piece) or "" for piece in pieces])
        size += start - end + sum(map(len, parts[-len(pieces) :] if pieces else ()))
        if size > MAX_OUTPUT:
            raise TooLong
        end = last = stop
        if not number & 255:
            check()
    parts.append(text[end:])
    return "".join(parts)


def _pieces(template: str, groups: int, names: dict[str, int]) -> list[str | int]:
    """Literals and group numbers of a replacement with `$1`, `${name}` and `$$`."""
    pieces: list[str | int] = []
    while True:
        before, dollar, template = template.partition("$")
        if before:
            pieces.append(before)
        if not dollar:
            return pieces
        if template.startswith("$"):
            pieces.append("$")
            template = template[1:]
            continue
        name, rest = _name(template)
        if not name:
            pieces.append("$")
            continue
        template = rest
        group = names.get(name)
        if name.isascii() and name.isdigit() and len(name) < 9 and (name == "0" or name[0] != "0"):
            group = int(name)
        if group is not None and group <= groups:
            pieces.append(group)


def _name(template: str) -> tuple[str, str]:
    """The name behind a dollar and what follows; empty where there is none."""
    braced = template.startswith("{")
    start = end = int(braced)
    while end < len(template) and (template[end] == "_" or template[end].isalpha() or template[end].isdecimal()):
        end += 1
    if braced and template[end : end + 1] != "}":
        return "", template
    return template[start:end], template[end + braced :]
