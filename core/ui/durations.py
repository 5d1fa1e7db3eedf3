"""Spans of time as people write them: `15m`, `1h 30m`, `90` (seconds), and back."""

from __future__ import annotations

import re

UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
NAMES = {"min": "m", "sec": "s", "days": "d", "day": "d", "hours": "h", "hour": "h"}
PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


def parse(text: str) -> int:
    """Seconds. Raises ValueError with what would be understood."""
    text = text.strip().lower()
    total, end = 0.0, 0
    for match in PART.finditer(text):
        unit = NAMES.get(match[2], match[2] or "s")
        if text[end : match.start()].strip() or unit not in UNITS:
            break
        total += float(match[1]) * UNITS[unit]
        end = match.end()
    if not text or end != len(text):
        raise ValueError("write a span of time such as 90s, 15m or 1h 30m")
    return round(total)


def format_short(seconds: int) -> str:
    """As a form shows it, exact: `15m`, `1h30m`, `0`."""
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0"


def format_long(seconds: float) -> str:
    """As a sentence says it, in its two largest units: `1 h 52 min`, `23 min`, `40 s`."""
    seconds = round(seconds)
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"
