"""Go's number and character literals."""

from __future__ import annotations

from alerts.gotemplate.text.quote import quote, unquote_character

BASES = {"x": 16, "o": 8, "b": 2}
MAX_INT, MAX_UINT = 2**63 - 1, 2**64 - 1
MAX_NUMBER = 4096
"""Characters of a text that is read as a number."""


def character(source: str) -> int:
    """`'a'` is 97. Raises ValueError."""
    found, end = unquote_character(source, 1, "'")
    if source[end:] != "'":
        raise ValueError(f"malformed character constant: {source}")
    code = ord(found)
    return code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code


def number(source: str) -> int | float:
    """An int or a float, as Go decides; an int may be up to 2^64-1, which no int64 holds. Raises ValueError."""
    if source.endswith("i") and not source.lower().startswith("0x"):
        raise ValueError(f"complex numbers are not supported: {source}")
    whole = _integer(source)
    fractional = any(c in source for c in ".eEpP")
    if whole is not None and (not fractional or _is_hex_integer(source)):
        return whole
    found = _float(source)
    if found is None:
        raise ValueError(f"illegal number syntax: {quote(source)}")
    if not fractional:
        raise ValueError(f"integer overflow: {quote(source)}")
    return found


def _is_hex_integer(source: str) -> bool:
    return source[:2].lower() == "0x" and "p" not in source.lower()


def _integer(source: str) -> int | None:
    """The source as an int64 or uint64; None where it is neither."""
    sign, digits = (source[0], source[1:]) if source[0] in "+-" else ("", source)
    if not _underscores_fit(digits):
        return None
    base = 10
    if digits[:1] == "0" and len(digits) > 1:
        base = BASES.get(digits[1].lower(), 8)
        digits = digits[1:] if base == 8 and digits[1].lower() != "o" else digits[2:]
    digits = digits.replace("_", "").lstrip("0") or ("0" if digits.replace("_", "") else "")
    if not digits or len(digits) > 64 or not all(c.isascii() and c.isalnum() for c in digits):
        return None
    try:
        value = int(digits, base)
    except ValueError:
        return None
    if sign == "-":
        return -value if value <= MAX_INT + 1 else None
    return value if value <= (MAX_INT if sign else MAX_UINT) else None


def _float(source: str) -> float | None:
    try:
        return parse_float(source)
    except ValueError:
        return None


def parse_float(text: str) -> float:
    """strconv.ParseFloat. Raises ValueError, with Go's reason."""
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned.lower() in ("inf", "infinity", "nan"):
        return float(text) if unsigned.lower() != "nan" or unsigned == text else _invalid()
    if len(text) > MAX_NUMBER or not text.isascii() or any(c.isspace() for c in text):
        return _invalid()
    hexadecimal = unsigned[:2].lower() == "0x"
    if not _underscores_fit(unsigned) or not unsigned or not (unsigned[0].isdigit() or unsigned[0] == "."):
        return _invalid()
    if hexadecimal and "p" not in unsigned.lower():
        return _invalid()
    try:
        value = float.fromhex(text.replace("_", "")) if hexadecimal else float(text.replace("_", ""))
    except OverflowError:
        raise ValueError("value out of range") from None
    except ValueError:
        return _invalid()
    if value in (float("inf"), float("-inf")):
        raise ValueError("value out of range")
    return value


def _invalid() -> float:
    raise ValueError("invalid syntax")


def _underscores_fit(digits: str) -> bool:
    """Underscores only between digits, or between a prefix and a digit."""
    if "_" not in digits:
        return True
    before = "^"
    hexadecimal = digits[:2].lower() == "0x"
    start = 2 if len(digits) > 1 and digits[0] == "0" and digits[1].lower() in BASES else 0
    before = "0" if start else "^"
    for c in digits[start:]:
        if "0" <= c <= "9" or (hexadecimal and "a" <= c.lower() <= "f"):
            before = "0"
        elif c == "_":
            if before != "0":
                return False
            before = "_"
        else:
            if before == "_":
                return False
            before = "!"
    return before != "_"
