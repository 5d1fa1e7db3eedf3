"""How values are written in charts."""

from core.charts.units import UNITS


def test_a_tooltip_has_what_stands_around_a_value() -> None:
    assert UNITS["percent"].tooltip == "%{y:.2f} %"
    assert UNITS["USD/h"].tooltip == "$ %{y:,.2f}"
    assert UNITS["count"].tooltip == "%{y:,.4~r}"
