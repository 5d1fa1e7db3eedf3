"""Go's strconv: quoting and unquoting of strings and characters."""

from __future__ import annotations

from alerts.gotemplate.values import from_bytes

SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
ESCAPES = {character: f"\\{letter}" for letter, character in SIMPLE.items()}
HEX = {"x": 2, "u": 4, "U": 8}
HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


def is_print(character: str) -> bool:
    """Letters, marks, numbers, punctuation, symbols and the ASCII space."""
    return character.isprintable()


def quote(text: str, mark: str = '"', ascii_only: bool = False) -> str:
    """strconv.Quote, or QuoteRune with the mark `'`."""
    if text.isascii() and text.isprintable() and "\\" not in text and mark not in text:
        return f"{mark}{text}{mark}"
    return f"{mark}{''.join([_escaped(c, mark, ascii_only) for c in text])}{mark}"


def _escaped(c: str, mark: str, ascii_only: bool) -> str:
    if c == mark:
        return f"\\{c}"
    if c in ESCAPES:
        return ESCAPES[c]
    code = ord(c)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if 0xD800 <= code <= 0xDFFF:
        c, code = "\ufffd", 0xFFFD
    if is_print(c) and (code < 0x80 or not ascii_only):
        return c
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def can_backquote(text: str) -> bool:
    """Whether a raw string can hold the text."""
    return not any(c in "`\x7f\ufeff" or (c < " " and c != "\t") or 0xD800 <= ord(c) <= 0xDFFF for c in text)


def unquote(literal: str) -> str:
    """The string of a literal, its quotes included. Raises ValueError."""
    mark, inner = literal[0], literal[1:-1]
    if mark == "`":
        return inner.replace("\r", "")
    if "\\" not in inner:
        return inner
    parts: list[str] = []
    at = 0
    while at < len(inner):
        found = inner.find("\\", at)
        if found < 0:
            break
        parts.append(inner[at:found])
        character, at = unquote_character(inner, found, mark)
        parts.append(character)
    parts.append(inner[at:])
    text = "".join(parts)
    # Bytes written one by one may be a character together.
    return from_bytes(text.encode("utf-8", "surrogateescape")) if _has_bytes(text) else text


def unquote_character(text: str, at: int, mark: str) -> tuple[str, int]:
    """The character that begins at an offset, and the offset after it. Raises ValueError."""
    c = text[at : at + 1]
    if not c or c == mark:
        raise ValueError("invalid syntax")
    if c != "\\":
        return c, at + 1
    letter = text[at + 1 : at + 2]
    at += 2
    if letter in SIMPLE and letter:
        return SIMPLE[letter], at
    if letter == mark:
        return letter, at
    if letter in HEX and letter:
        digits = text[at : at + HEX[letter]]
        if len(digits) < HEX[letter] or not HEX_DIGITS.issuperset(digits):
            raise ValueError("invalid syntax")
        code = int(digits, 16)
        if letter == "x":
            return _byte(code), at + 2
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise ValueError("invalid syntax")
        return chr(code), at + HEX[letter]
    if letter and letter in "01234567":
        digits = text[at - 1 : at + 2]
        if len(digits) < 3 or any(d not in "01234567" for d in digits) or int(digits, 8) > 255:
            raise ValueError("invalid syntax")
        return _byte(int(digits, 8)), at + 2
    raise ValueError("invalid syntax")


def _byte(code: int) -> str:
    return chr(code) if code < 0x80 else chr(0xDC00 + code)


def _has_bytes(text: str) -> bool:
    return not text.isascii() and any(0xDC80 <= ord(c) <= 0xDCFF for c in text)
