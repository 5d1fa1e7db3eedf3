"""Counters read off between the knots of a coarse grain."""

import numpy as np

from usage.series.grid import on_grid


def test_a_counter_between_knots_never_falls_not_even_by_its_last_bit() -> None:
    random = np.random.default_rng(7)
    knots = np.arange(0, 300 * 1000, 300, dtype=np.int64)
    for steps in (random.integers(0, 3, (20, len(knots))), random.random((20, len(knots))) / 3):
        counters = np.cumsum(steps.astype(np.float64), axis=1)
        read = on_grid(counters, knots, np.arange(0, 290_000, 45, dtype=np.int64))
        assert (np.diff(read, axis=1) >= 0).all()


def test_between_two_knots_a_counter_grows_evenly() -> None:
    knots, times = np.array([0, 300]), np.array([0, 75, 150, 300, 400])
    assert on_grid(np.array([[4.0, 8.0]]), knots, times).tolist() == [[4.0, 5.0, 6.0, 8.0, 8.0]]
