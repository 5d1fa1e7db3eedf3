"""How values are written in a chart: in its corner, in a tooltip and on its axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """`hover` and `tick` are d3 formats, `grafana` is Grafana's name for it; `before` and `after` stand around a
    value."""

    shown: str
    hover: str
    tick: str
    grafana: str
    before: str = ""
    after: str = ""
    name: str = ""

    @property
    def rule(self) -> str:
        """How a rule names it."""
        return self.name or self.shown

    @property
    def tooltip(self) -> str:
        """Plotly's template for the value of a point."""
        return f"{self.before}%{{y:{self.hover}}}{self.after}"


UNITS: Mapping[str, Unit] = {
    "percent": Unit("%", ".2f", "", "percent", after=" %"),
    "seconds": Unit("seconds", ",.3~r", "", "s", after=" s", name="s"),
    "milliseconds": Unit("ms", ",.3~r", "", "ms", after=" ms"),
    "tokens/min": Unit("per minute", ",.4~r", "~s", "short", name="tokens/min"),
    "tokens/s": Unit("per second", ",.4~r", "~s", "short", name="tokens/s"),
    "per minute": Unit("per minute", ",.3~r", "", "short"),
    "USD/h": Unit("USD per hour", ",.2f", "", "currencyUSD", before="$ ", name="USD/h"),
    "count": Unit("", ",.4~r", "~s", "short"),
}
