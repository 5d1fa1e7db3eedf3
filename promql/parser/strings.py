"""Strings as Go writes them: in double, single or back quotes."""

import re

from promql.errors import ParseError

_ESCAPE = re.compile(
    r"""\\(?:(?P<octal>[0-7]{3})|x(?P<hex>[0-9a-fA-F]{2})|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})
    |(?P<simple>[abfnrtv\\'"])|(?P<other>.?))""",
    re.VERBOSE | re.DOTALL,
)
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34}
_QUOTED = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}


def unquote(text: str, start: int) -> tuple[str, bool]:
    """What a string in quotes stands for, and whether it is UTF-8; bytes that are not become U+FFFD.

    `start` is its place in the query. Raises ParseError.
    """
    quote, body = text[0], text[1:-1]
    if quote == "`":
        return body.replace("\r", ""), True
    if "\\" not in body:
        return body, True
    parts: list[bytes] = []
    position = 0
    for match in _ESCAPE.finditer(body):
        parts += [body[position : match.start()].encode(), _bytes_of(match, quote, start)]
        position = match.end()
    raw = b"".join([*parts, body[position:].encode()])
    try:
        return raw.decode(), True
    except UnicodeDecodeError:
        return raw.decode(errors="replace"), False


def _bytes_of(match: re.Match[str], quote: str, start: int) -> bytes:
    place = start + 1 + match.start()
    if (simple := match["simple"]) is not None:
        if simple in "'\"" and simple != quote:
            raise ParseError(f"unknown escape sequence \\{simple} in a string", place)
        return bytes([_SIMPLE[simple]])
    if (digits := match["octal"]) is not None:
        if int(digits, 8) > 255:
            raise ParseError(f"octal escape value \\{digits} is more than 255", place)
        return bytes([int(digits, 8)])
    if (digits := match["hex"]) is not None:
        return bytes([int(digits, 16)])
    if (digits := match["short"] or match["long"]) is not None:
        code = int(digits, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise ParseError(f"\\{match[0][1:]} is not a Unicode character", place)
        return chr(code).encode()
    raise ParseError(f"unknown escape sequence \\{match['other']} in a string", place)


def quote(text: str) -> str:
    """A text in double quotes, as `unquote` understands it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(_QUOTED.get(one, one if one.isprintable() else _numeric(one)) for one in escaped) + '"'


def _numeric(character: str) -> str:
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
