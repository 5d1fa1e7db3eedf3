"""Buckets of the grains, and which grain takes rows of which time."""

from math import inf

import numpy as np

from usage.catalog.grains import COARSE, FINE, GRAINS, MIDDLE
from usage.store.watermark import Watermark


def test_a_bucket_starts_at_a_multiple_of_its_width_for_a_number_and_for_each_of_an_array() -> None:
    assert [grain.start(7_261) for grain in GRAINS] == [7_260, 7_200, 7_200]
    assert FINE.start(44.9) == 30.0
    assert MIDDLE.start(np.array([299, 300, 601])).tolist() == [0, 300, 600]


def test_the_next_start_is_the_time_itself_where_a_bucket_starts_there() -> None:
    assert [grain.next_start(7_201) for grain in GRAINS] == [7_215, 7_500, 10_800]
    assert [grain.next_start(7_200) for grain in GRAINS] == [7_200] * 3


def test_each_time_above_the_floors_has_one_grain_the_finest_that_is_kept() -> None:
    ages = [*Watermark(0, 3_000.0, 2_000.0, 1_000.0).ages()]
    assert ages == [(FINE, 3_000.0, inf), (MIDDLE, 2_000.0, 3_000.0), (COARSE, 1_000.0, 2_000.0)]
