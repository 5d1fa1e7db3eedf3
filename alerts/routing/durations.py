"""Prometheus's durations, `1h30m`, as `timedelta`."""

import datetime as dt
import re

UNITS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
FORM = re.compile("".join(rf"(?:([0-9]+){unit})?" for unit in UNITS))
LONGEST = dt.timedelta(days=10 * 366)


def parse_duration(text: object, longest: dt.timedelta = LONGEST) -> dt.timedelta:
    """Of text as `5m` or `1h30m`, units in falling order; `0` needs none. ValueError otherwise, and where it is longer
    than `longest`."""
    if text in (0, "0"):
        return dt.timedelta()
    hit = FORM.fullmatch(text) if isinstance(text, str) and 0 < len(text) < 40 else None
    if hit is None:
        raise ValueError(f"{text!r} is not a duration such as 30s, 5m or 4h")
    milliseconds = sum(int(n or 0) * unit for n, unit in zip(hit.groups(), UNITS.values(), strict=True))
    if milliseconds > longest // dt.timedelta(milliseconds=1):
        raise ValueError(f"{text!r} is longer than {longest.days / 365.25:.0f} years")
    return dt.timedelta(milliseconds=milliseconds)


def write_duration(value: dt.timedelta) -> str:
    """The text again, as Prometheus prints it: years, weeks and days only where they come out even."""
    rest = value // dt.timedelta(milliseconds=1)
    if rest == 0:
        return "0s"
    parts = []
    for unit, size in UNITS.items():
        if unit in "ywd" and rest % size:
            continue
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
