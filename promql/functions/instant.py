"""Functions of each sample by itself."""

from collections.abc import Callable

import numpy as np

from promql.values import Bools, Floats

ElementFunction = Callable[[Floats], Floats]


def sgn(values: Floats) -> Floats:
    return np.where(values < 0, -1.0, np.where(values > 0, 1.0, values))


ELEMENTWISE: dict[str, ElementFunction] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sgn": sgn,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "deg": lambda values: values * 180 / np.pi,
    "rad": lambda values: values * np.pi / 180,
}


def round_to(values: Floats, nearest: Floats) -> Floats:
    """Round to a multiple of `nearest` per step, halves upwards."""
    inverse = 1 / nearest
    return np.floor(values * inverse + 0.5) / inverse


def clamp(values: Floats, low: Floats, high: Floats) -> Floats:
    return np.maximum(low, np.minimum(high, values))


def clamp_is_empty(low: Floats, high: Floats) -> Bools:
    """The steps at which no value fits between the bounds."""
    empty: Bools = high < low
    return empty
