"""Numbers and durations in their many notations."""

import math
import re
from functools import lru_cache

from promql.errors import ParseError

_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_UNITS_MS = (
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
)
# A duration is 64-bit nanoseconds in Prometheus.
MAX_DURATION_MS = 2**63 // 1_000_000
MAX_DIGITS = 400


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> int:
    """The milliseconds of a text such as 1h30m. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if not text or match is None or len(text) > MAX_DIGITS:
        raise ValueError(f"not a valid duration string: {text!r}")
    milliseconds = sum(int(count or 0) * unit for count, (_, unit) in zip(match.groups(), _UNITS_MS, strict=True))
    if milliseconds > MAX_DURATION_MS:
        raise ValueError("duration out of range")
    return milliseconds


def format_duration(milliseconds: int) -> str:
    """A duration in the largest units that leave no rest: 1h30m."""
    if not milliseconds:
        return "0s"
    sign, rest, text = "-" if milliseconds < 0 else "", abs(milliseconds), ""
    for unit, size in _UNITS_MS:
        # Prometheus writes weeks and years only where they say it all: 8d, not 1w1d.
        if unit in {"y", "w"} and rest % size:
            continue
        count, rest = divmod(rest, size)
        if count:
            text += f"{count}{unit}"
    return sign + text


def parse_number(text: str, start: int) -> float:
    """The value of a number token: decimal, hexadecimal, octal (a leading 0), inf, nan. Raises ParseError."""
    plain = text.lower()
    if plain in {"inf", "nan"}:
        return math.inf if plain == "inf" else math.nan
    if len(text) > MAX_DIGITS:
        raise ParseError(f"a number of more than {MAX_DIGITS} characters", start)
    digits = plain.replace("_", "")
    try:
        if digits.startswith("0x"):
            return float.fromhex(digits) if {".", "p"} & set(digits) else float(int(digits, 16))
        if re.fullmatch(r"0[0-7]+", digits):
            return float(int(digits, 8))
        return float(digits)
    except (ValueError, OverflowError):
        raise ParseError(f"bad number or duration syntax: {text!r}", start) from None
