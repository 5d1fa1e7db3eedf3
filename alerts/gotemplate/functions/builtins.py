"""The functions of text/template itself; `and` and `or` are executed where they are called, as they may skip
arguments."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

from alerts.gotemplate.functions.signature import CallError, Function
from alerts.gotemplate.text.fmt import sprint, sprintf, sprintln
from alerts.gotemplate.text.quote import is_print
from alerts.gotemplate.values import (
    AnyMap,
    Data,
    Duration,
    QueryResult,
    Sample,
    SampleStruct,
    Time,
    Uint8,
    from_bytes,
    is_map,
    to_bytes,
    truth,
    type_name,
)

HTML = {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
NO_TYPE = "reflect: call of reflect.Value.Type on zero Value"


def kind(value: Any) -> str:
    """What a value is compared as; empty where it cannot be."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Uint8):
        return "uint"
    if isinstance(value, int) or (isinstance(value, Duration) and not value.pointer):
        return "int"
    if isinstance(value, float):
        return "float"
    return "string" if isinstance(value, str) else ""


def _basic(value: Any) -> Any:
    """The value as Python compares it like Go: strings by their bytes."""
    if isinstance(value, str) and not value.isascii():
        return to_bytes(value)
    if isinstance(value, str):
        return value.encode()
    return value.nanoseconds if isinstance(value, Duration) else value


def equal(first: Any, *others: Any) -> bool:
    """eq: whether the first equals any of the others."""
    if not others:
        raise CallError("missing argument for comparison")
    own = kind(first)
    return any(_equal(first, own, other) for other in others)


def _equal(first: Any, own: str, other: Any) -> bool:
    theirs = kind(other)
    if own != theirs:
        if {own, theirs} == {"int", "uint"}:
            return bool(_basic(first) == _basic(other))
        if first is None or other is None:
            return False
        raise CallError("incompatible types for comparison")
    if own:
        return bool(_basic(first) == _basic(other))
    if first is None or other is None:
        return first is other
    if _reflect_kind(first) != _reflect_kind(other):
        raise CallError(
            f"non-comparable types {sprint([first])}: {type_name(first)}, {type_name(other)}: {sprint([other])}"
        )
    if not isinstance(other, Sample | Time | Duration):
        raise CallError(f"non-comparable type {sprint([other])}: {type_name(other)}")
    return first is other


def _reflect_kind(value: Any) -> str:
    if is_map(value):
        return "map"
    return "slice" if isinstance(value, QueryResult) else "struct" if isinstance(value, Data) else "pointer"


def not_equal(first: Any, second: Any) -> bool:
    return not equal(first, second)


def less(first: Any, second: Any) -> bool:
    own, theirs = kind(first), kind(second)
    if not own or not theirs:
        raise CallError("invalid type for comparison")
    if own != theirs and {own, theirs} != {"int", "uint"}:
        raise CallError("incompatible types for comparison")
    if own == "bool":
        raise CallError("invalid type for comparison")
    return bool(_basic(first) < _basic(second))


def less_or_equal(first: Any, second: Any) -> bool:
    return less(first, second) or equal(first, second)


def greater(first: Any, second: Any) -> bool:
    # The inverse of <=, as in Go: true where one is NaN.
    return not less_or_equal(first, second)


def greater_or_equal(first: Any, second: Any) -> bool:
    return not less(first, second)


def length(item: Any) -> int:
    if isinstance(item, str):
        return len(item) if item.isascii() else len(to_bytes(item))
    if is_map(item) or isinstance(item, QueryResult):
        return len(item)
    if item is None:
        raise CallError(NO_TYPE)
    raise CallError(f"len of type {type_name(item).lstrip('*')}")


def index(item: Any, *indexes: Any) -> Any:
    """Go's item[i][j]…"""
    if item is None:
        raise CallError("index of untyped nil")
    for one in indexes:
        if is_map(item):
            if one is None:
                raise CallError("value is nil; should be of type string")
            if type(one) is not str:
                raise CallError(f"value has type {type_name(one)}; should be string")
            found = item.get(one, None if isinstance(item, AnyMap) else "")
            item = found if isinstance(item, AnyMap) else _text(found)
        elif isinstance(item, str):
            data = to_bytes(item)
            at = _offset(one, len(data))
            if at == len(data):
                raise CallError("reflect: string index out of range")
            item = Uint8(data[at])
        elif isinstance(item, QueryResult):
            at = _offset(one, len(item))
            if at == len(item):
                raise CallError("reflect: slice index out of range")
            item = item[at]
        elif item is None:
            raise CallError("index of nil pointer")
        else:
            raise CallError(f"can't index item of type {type_name(item).lstrip('*')}")
    return item


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _offset(position: Any, limit: int) -> int:
    if position is None:
        raise CallError("cannot index slice/array with nil")
    if kind(position) not in ("int", "uint"):
        raise CallError(f"cannot index slice/array with type {type_name(position)}")
    at = int(_basic(position))
    if at < 0 or at > limit:
        raise CallError(f"index out of range: {at}")
    return at


def cut(item: Any, *indexes: Any) -> Any:
    """slice: Go's item[i:j]."""
    if item is None:
        raise CallError("slice of untyped nil")
    if len(indexes) > 3:
        raise CallError(f"too many slice indexes: {len(indexes)}")
    if isinstance(item, str):
        if len(indexes) == 3:
            raise CallError("cannot 3-index slice a string")
        data: Any = to_bytes(item)
    elif isinstance(item, QueryResult):
        data = item
    else:
        raise CallError(f"can't slice item of type {type_name(item)}")
    bounds = [0, len(data), len(data)]
    for number, one in enumerate(indexes):
        bounds[number] = _offset(one, len(data))
    if bounds[0] > bounds[1]:
        raise CallError(f"invalid slice index: {bounds[0]} > {bounds[1]}")
    if bounds[1] > bounds[2]:
        raise CallError(f"invalid slice index: {bounds[1]} > {bounds[2]}")
    part = data[bounds[0] : bounds[1]]
    return type(item)(from_bytes(part) if isinstance(item, str) else part)


def call(function: Any, *arguments: Any) -> Any:
    """Go's call; no value of ours is a function."""
    if function is None:
        raise CallError("call of nil")
    raise CallError(f"non-function of type {type_name(function)}")


def joined(arguments: tuple[Any, ...]) -> str:
    """The arguments as html, js and urlquery take them: as one text."""
    if len(arguments) == 1 and isinstance(arguments[0], str):
        return arguments[0]
    return sprint([_pointed_to(one) for one in arguments])


def _pointed_to(value: Any) -> Any:
    if isinstance(value, Sample):
        return SampleStruct(value.labels, value.value)
    return "<no value>" if value is None else value


def html(*arguments: Any) -> str:
    return "".join([HTML.get(c, c) for c in joined(arguments)])


def js(*arguments: Any) -> str:
    return "".join([c if " " <= c <= "~" and c not in JS else _js(c) for c in joined(arguments)])


def _js(c: str) -> str:
    if c in JS:
        return JS[c]
    if c < " ":
        return f"\\u00{ord(c):02X}"
    if 0xD800 <= ord(c) <= 0xDFFF:
        c = "\ufffd"
    return c if c < "\x80" or is_print(c) else f"\\u{ord(c):04X}"


def urlquery(*arguments: Any) -> str:
    return quote_plus(to_bytes(joined(arguments)))


BUILTINS = {
    "and": Function(None, ("value",), "value"),
    "or": Function(None, ("value",), "value"),
    "not": Function(lambda value: not truth(value), ("value",)),
    "eq": Function(equal, ("value",), "value"),
    "ne": Function(not_equal, ("value", "value")),
    "lt": Function(less, ("value", "value")),
    "le": Function(less_or_equal, ("value", "value")),
    "gt": Function(greater, ("value", "value")),
    "ge": Function(greater_or_equal, ("value", "value")),
    "len": Function(length, ("value",)),
    "index": Function(index, ("value",), "value"),
    "slice": Function(cut, ("value",), "value"),
    "call": Function(call, ("value",), "value"),
    "print": Function(lambda *arguments: sprint(list(arguments)), (), "any"),
    "printf": Function(lambda text, *arguments: sprintf(text, list(arguments)), ("string",), "any"),
    "println": Function(lambda *arguments: sprintln(list(arguments)), (), "any"),
    "html": Function(html, (), "any"),
    "js": Function(js, (), "any"),
    "urlquery": Function(urlquery, (), "any"),
}
