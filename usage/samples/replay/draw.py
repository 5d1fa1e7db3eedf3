"""What a file does not say, drawn with a seed: values of weighted lists, durations of named distributions, injected
failures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from promql.values import Bools, Floats
from usage.samples.replay.read import FileError, Table

COLUMN = "column:"
Rng = np.random.Generator
# Name: its parameters, and the draw of so many values.
DISTRIBUTIONS: Mapping[str, tuple[str, Callable[[Rng, int, list[float]], Floats]]] = {
    "constant": ("seconds", lambda rng, count, p: np.full(count, p[0])),
    "uniform": ("low,high", lambda rng, count, p: rng.uniform(p[0], p[1], count)),
    "exponential": ("mean", lambda rng, count, p: rng.exponential(p[0], count)),
    # As everywhere: mean and standard deviation of the logarithm; the median is e to the power of the mean.
    "lognormal": ("mu,sigma", lambda rng, count, p: rng.lognormal(p[0], p[1], count)),
}


def generator(seed: int, purpose: str) -> Rng:
    """A stream of chance of its own for each purpose, so that one more option does not change what the others draw."""
    return np.random.default_rng([seed, *purpose.encode()])


@dataclass(frozen=True)
class LabelValues:
    """Values of a label: one for all (`gpt-4o`), weighted (`gpt-4o=0.7,gpt-4o-mini=0.3`), or the file's
    (`column:Model`)."""

    text: str

    @property
    def drawn(self) -> bool:
        """Whether chance decides."""
        return "=" in self.text and not self.text.startswith(COLUMN)

    def values(self, table: Table, seed: int, purpose: str) -> list[str]:
        """A value for each row. Raises FileError for what cannot be read."""
        if self.text.startswith(COLUMN):
            return table.column(self.text.removeprefix(COLUMN))
        if not self.drawn:
            return [self.text] * table.rows
        names, weights = self._weights(purpose)
        shares = np.array(weights) / sum(weights)
        return [names[index] for index in generator(seed, purpose).choice(len(names), table.rows, p=shares)]

    def _weights(self, purpose: str) -> tuple[list[str], list[float]]:
        names, weights = [], []
        for part in self.text.split(","):
            name, _, weight = part.rpartition("=")
            value = _number(weight)
            if not name.strip() or value is None or value < 0:
                raise FileError(f"--{purpose}: {part!r} is not NAME=WEIGHT")
            names.append(name.strip())
            weights.append(value)
        if not sum(weights):
            raise FileError(f"--{purpose}: the weights are all 0")
        return names, weights


def durations(text: str, table: Table, seed: int) -> Floats:
    """Seconds for each row, of a column or a distribution; NaN where unknown. Raises FileError."""
    if not text:
        return np.full(table.rows, np.nan)
    if text.startswith(COLUMN):
        return table.numbers(text.removeprefix(COLUMN))
    name, _, given = text.partition(":")
    parameters = [_number(part) for part in given.split(",")]
    if name not in DISTRIBUTIONS:
        raise FileError(f"--duration: there is no distribution {name!r}; there are {', '.join(DISTRIBUTIONS)}")
    form, draw = DISTRIBUTIONS[name]
    numbers = [value for value in parameters if value is not None]
    if len(numbers) != len(parameters) or len(numbers) != form.count(",") + 1:
        raise FileError(f"--duration: write {name}:{form} with numbers")
    try:
        drawn = draw(generator(seed, "duration"), table.rows, numbers)
    except (ValueError, OverflowError) as error:
        raise FileError(f"--duration: {error}") from None
    if drawn.min() < 0:
        raise FileError("--duration: a duration cannot be negative")
    return np.round(drawn, 6)


def failures(share: float, between: tuple[float, float] | None, at: Floats, seed: int) -> Bools:
    """Which calls lose their token counts: a share of those whose offset from the first, in seconds, lies in
    `between`."""
    chosen = generator(seed, "fail").random(len(at)) < share
    if between is None:
        return chosen
    offset = at - at.min()
    inside: Bools = (offset >= between[0]) & (offset < between[1])
    return chosen & inside


def seconds(text: str) -> float:
    """A span of time: `90`, `90s`, `15m`, `1.5h`. Raises ValueError."""
    units = {"s": 1, "m": 60, "h": 3600}
    unit = units.get(text[-1:], 0)
    value = _number(text[:-1] if unit else text)
    if value is None or value < 0:
        raise ValueError(f"{text!r} is not a span of time like 90s, 15m or 1.5h")
    return value * (unit or 1)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
