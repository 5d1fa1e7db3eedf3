"""Numbers as people write them. A no-break space stands between a number and its unit."""

from __future__ import annotations

import math

SPACE = "\u00a0"
NONE = "–"


def amount(value: float) -> tuple[str, str]:
    """Three digits and the letter that scales them: ("1.92", "M"), ("41.3", "")."""
    if not math.isfinite(value):
        return NONE, ""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size * 0.9995:
            scaled = value / (1e3 if letter == "k" else size)
            return _digits(scaled), letter
    return _digits(value), ""


def count(value: float) -> str:
    """A number of things: "1.42 M", "8,819"."""
    number, letter = amount(value)
    return f"{number}{SPACE}{letter}" if letter else number


def usd(value: float) -> str:
    """An amount of money: "$ 412.60", "$ 0.0042"."""
    if not math.isfinite(value):
        return NONE
    if value and abs(value) < 0.01:
        return f"${SPACE}{value:.2g}"
    return f"${SPACE}{value:,.0f}" if abs(value) >= 100_000 else f"${SPACE}{value:,.2f}"


def percent(value: float) -> str:
    """A share, given in percent: "98.7 %", "0.84 %"."""
    return f"{share(value)}{SPACE}%" if math.isfinite(value) else NONE


def share(value: float) -> str:
    """A share in percent without its sign: never rounded up to 100 or down to 0."""
    if not math.isfinite(value):
        return NONE
    if value in (0, 100):
        return f"{value:.0f}"
    if value < 10:
        return f"{value:.2f}" if value >= 0.005 else "<0.01"
    return f"{value:.1f}" if value < 99.95 else f"{math.floor(value * 1000) / 1000:.3f}"


def seconds(value: float) -> str:
    """A duration: "87 ms", "3.42 s", "23 min", "5.2 h"."""
    number, unit = duration(value)
    return f"{number}{SPACE}{unit}" if unit else number


def duration(value: float) -> tuple[str, str]:
    """A duration in the unit that people would use."""
    if not math.isfinite(value):
        return NONE, ""
    if value < 0.001:
        return _digits(value * 1e6), "µs"
    for size, unit in ((1, "ms"), (120, "s"), (7200, "min"), (172_800, "h")):
        if value < size:
            return _digits(value / {"ms": 0.001, "s": 1, "min": 60, "h": 3600}[unit]), unit
    return _digits(value / 86_400), "d"


def measured(value: float | None, unit: str) -> str:
    """A value with its unit, whatever that is: "6.4 %", "1,204 calls"; empty where there is none."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return f"{value} {unit}".rstrip()
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{number} {unit}".rstrip()


def change(now: float, before: float) -> str:
    """How `now` compares, in percent: "▲ 6 %", "▼ 4 %", "="; empty without anything to compare."""
    if not (math.isfinite(now) and math.isfinite(before)) or before <= 0:
        return ""
    by = 100 * (now / before - 1)
    if abs(by) < 0.5:
        return "="
    arrow = "▲" if by > 0 else "▼"
    return f"{arrow}{SPACE}{abs(by):,.0f}{SPACE}%" if abs(by) < 1000 else f"{arrow}{SPACE}{now / before:,.0f}×"


def _digits(value: float) -> str:
    """Three digits; whole numbers without a point."""
    size, whole = abs(value), round(value)
    if size >= 99.95 or abs(value - whole) < 1e-9 * max(size, 1):
        return f"{whole:,}"
    if size >= 9.995:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.1 else f"{value:.2g}"
