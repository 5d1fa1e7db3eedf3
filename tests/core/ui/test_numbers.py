"""Numbers as people write them."""

import math

import pytest

from core.ui.numbers import amount, change, count, measured, percent, seconds, usd


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (41.3, "41.3"),
        (184, "184"),
        (0.4, "0.40"),
        (0.0012, "0.0012"),
        (8819, "8,819"),
        (9999.9, "10.0 k"),
        (17_234, "17.2 k"),
        (999_950, "1.00 M"),
        (1_916_000, "1.92 M"),
        (412_000_000, "412 M"),
        (2.5e12, "2.50 T"),
        (math.nan, "–"),
    ],
)
def test_counts_have_three_digits_and_a_letter(value: float, text: str) -> None:
    assert count(value).replace("\u00a0", " ") == text


def test_number_and_letter_come_apart_for_tiles() -> None:
    assert amount(1_916_000) == ("1.92", "M")


@pytest.mark.parametrize(
    ("value", "text"),
    [(412.6, "$ 412.60"), (1204.5, "$ 1,204.50"), (0, "$ 0.00"), (0.0042, "$ 0.0042"), (250_000.4, "$ 250,000")],
)
def test_money_has_cents_until_they_do_not_matter(value: float, text: str) -> None:
    assert usd(value).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(100, "100 %"), (99.96, "99.960 %"), (98.71, "98.7 %"), (0.84, "0.84 %"), (0.001, "<0.01 %"), (0, "0 %")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(value: float, text: str) -> None:
    assert percent(value).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00002, "20 µs"),
        (0.087, "87 ms"),
        (3.42, "3.42 s"),
        (119.9, "120 s"),
        (1380, "23 min"),
        (18_720, "5.20 h"),
        (259_200, "3 d"),
    ],
)
def test_durations_take_the_unit_that_people_would(value: float, text: str) -> None:
    assert seconds(value).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [(106, 100, "▲ 6 %"), (96, 100, "▼ 4 %"), (100.2, 100, "="), (5, 0, ""), (3000, 100, "▲ 30×"), (math.nan, 1, "")],
)
def test_change_says_direction_and_size(now: float, before: float, text: str) -> None:
    assert change(now, before).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(6.42, "%", "6.42 %"), (1204.4, "calls", "1,204 calls"), (0.5, "", "0.5"), (None, "%", "")],
)
def test_a_measured_value_has_its_rule_s_unit(value: float | None, unit: str, text: str) -> None:
    assert measured(value, unit) == text
