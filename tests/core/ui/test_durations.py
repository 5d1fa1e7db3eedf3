"""Spans of time as people write them."""

import pytest

from core.ui import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15m", 900), ("1h 30m", 5400), ("90", 90), ("0", 0), ("2 days", 172_800), ("1.5h", 5400), (" 5 min ", 300)],
)
def test_what_people_write_is_read(text: str, seconds: int) -> None:
    assert durations.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5x", "m5", "-5m", "5m later"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90s, 15m or 1h 30m"):
        durations.parse(text)


@pytest.mark.parametrize("seconds", [0, 1, 59, 60, 61, 3600, 5400, 86_400, 90_061])
def test_the_short_form_reads_back(seconds: int) -> None:
    assert durations.parse(durations.format_short(seconds)) == seconds


def test_the_long_form_takes_the_two_largest_units() -> None:
    assert [durations.format_long(seconds) for seconds in (0, 40, 1380, 6720, 93_600, 3_601)] == [
        "0 s",
        "40 s",
        "23 min",
        "1 h 52 min",
        "1 d 2 h",
        "1 h",
    ]
