"""The alerts of a backtest, as columns: a rule over a month may have raised a hundred thousand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

import promql
from alerts.evaluation.state_machine import FIRING, INACTIVE, PENDING, Codes
from promql import LimitError
from promql.values import Floats, Ints

MAX_SPELLS = 1_000_000


@dataclass(frozen=True)
class Episode:
    """One alert that would have fired: label set, when (epoch ms; `ended_ms` None while it
    lasts), and its highest or lowest value."""

    labels: promql.Labels
    pending_ms: int
    fired_ms: int
    ended_ms: int | None
    seconds: float
    peak: float


@dataclass(frozen=True)
class Spells:
    """Stretches of evaluations, from `start` to before `stop`, in which a label set was pending or fired, each with its
    highest or lowest value; in the order of label sets and time."""

    label_set: Ints
    start: Ints
    stop: Ints
    code: Codes
    peak: Floats

    @classmethod
    def of(cls, label_sets: Ints, codes: Codes, values: Floats, first: int, *, lowest: bool) -> Spells:
        """The spells of a matrix [label set, evaluation] that begins with the evaluation number `first`; `values` are
        NaN where there is none."""
        width = codes.shape[1]
        begins = np.ones(codes.shape, dtype=bool)
        begins[:, 1:] = codes[:, 1:] != codes[:, :-1]
        start = np.flatnonzero(begins)
        peak = _extreme(lowest).reduceat(values.reshape(-1), start) if len(start) else np.zeros(0)
        stop = np.append(start[1:], codes.size)
        code = codes.reshape(-1)[start]
        kept = np.flatnonzero(code != INACTIVE)
        row = start[kept] // width
        return cls(
            label_sets[row], start[kept] % width + first, stop[kept] - row * width + first, code[kept], peak[kept]
        )

    @classmethod
    def joined(cls, parts: Sequence[Spells], *, lowest: bool) -> Spells:
        """All spells; those that go on from one part to the next are one."""
        columns = [np.concatenate([getattr(one, name) for one in parts]) for name in cls.__dataclass_fields__]
        order = np.lexsort((columns[1], columns[0]))
        label_set, start, stop, code, peak = (column[order] for column in columns)
        goes_on = (label_set[1:] == label_set[:-1]) & (code[1:] == code[:-1]) & (start[1:] == stop[:-1])
        if not len(order):
            return cls(label_set, start, stop, code, peak)
        first = np.flatnonzero(np.append(True, ~goes_on))
        last = np.append(first[1:], len(order)) - 1
        peak = _extreme(lowest).reduceat(peak, first)
        return cls(label_set[first], start[first], stop[last], code[first], peak)

    def shown(self, label_sets: int, width: int, columns: int) -> Codes:
        """The gravest state [label set, column] where a column stands for `width` evaluations."""
        codes = np.zeros((label_sets, columns), dtype=np.int8)
        for code in (PENDING, FIRING):
            own = self.code == code
            edges = np.zeros((label_sets, columns + 1), dtype=np.int32)
            np.add.at(edges, (self.label_set[own], self.start[own] // width), 1)
            np.add.at(edges, (self.label_set[own], (self.stop[own] - 1) // width + 1), -1)
            codes[np.cumsum(edges[:, :-1], axis=1) > 0] = code
        return codes

    def at(self, evaluation: int, code: int) -> int:
        """How many label sets are in a state at an evaluation."""
        return int(((self.code == code) & (self.start <= evaluation) & (evaluation < self.stop)).sum())


class Episodes(Sequence[Episode]):
    """The alerts that would have fired, oldest first."""

    def __init__(self, labels: Sequence[promql.Labels], spells: Spells, times: Ints) -> None:
        rank = np.empty(len(labels), dtype=np.int64)
        rank[sorted(range(len(labels)), key=lambda one: sorted(labels[one].items()))] = np.arange(len(labels))
        fired = np.flatnonzero(spells.code == FIRING)
        before = np.maximum(fired - 1, 0)
        waited = (
            (fired > 0)
            & (spells.label_set[before] == spells.label_set[fired])
            & (spells.code[before] == PENDING)
            & (spells.stop[before] == spells.start[fired])
        )
        pending = np.where(waited, spells.start[before], spells.start[fired])
        order = np.lexsort((rank[spells.label_set[fired]], spells.start[fired]))
        found = fired[order]
        self._labels, self._end = labels, int(times[-1])
        self._label_set, self._peak = spells.label_set[found], spells.peak[found]
        self._pending, self.fired = times[pending[order]], times[spells.start[found]]
        # What still fires after the last evaluation ends after it.
        self.ended = np.append(times, self._end + 1)[spells.stop[found]]

    def __len__(self) -> int:
        return len(self.fired)

    @overload
    def __getitem__(self, place: int) -> Episode: ...

    @overload
    def __getitem__(self, place: slice) -> list[Episode]: ...

    def __getitem__(self, place: int | slice) -> Episode | list[Episode]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        fired, ended = int(self.fired[place]), int(self.ended[place])
        return Episode(
            self._labels[int(self._label_set[place])],
            int(self._pending[place]),
            fired,
            ended if ended <= self._end else None,
            (min(ended, self._end) - fired) / 1000,
            float(self._peak[place]),
        )

    @property
    def seconds(self) -> Floats:
        """How long each fired."""
        return np.asarray((np.minimum(self.ended, self._end) - self.fired) / 1000)

    @property
    def seconds_in_all(self) -> float:
        """For how long any of them fired."""
        if not len(self):
            return 0.0
        until = np.maximum.accumulate(np.minimum(self.ended, self._end))
        begins = np.append(True, self.fired[1:] > until[:-1])
        return float((until[np.append(begins[1:], True)] - self.fired[begins]).sum() / 1000)

    def only_here(self, other: Episodes) -> int:
        """To how many no episode of the same labels among the others fired at some time at once."""
        known = {frozenset(labels.items()): place for place, labels in enumerate(other._labels)}
        mine = np.array([known.get(frozenset(labels.items()), -1) for labels in self._labels], dtype=np.int64)
        if not len(self) or not len(other):
            return len(self)
        order = np.lexsort((other.fired, other._label_set))
        theirs, fired, ended = other._label_set[order], other.fired[order], other.ended[order]
        own = mine[self._label_set]
        # Of each label set the last that began before this one ended: those of one label set do not overlap.
        low = min(int(self.fired.min()), int(fired.min()))
        width = max(int(self.ended.max()), int(fired.max())) - low + 2
        last = np.searchsorted(theirs * width + fired - low, own * width + self.ended - low) - 1
        place = np.maximum(last, 0)
        overlaps = (last >= 0) & (own >= 0) & (theirs[place] == own) & (ended[place] > self.fired)
        return int((~overlaps).sum())


def check_spells(count: int) -> None:
    """Refuse what would fill the memory. Raises promql.LimitError."""
    if count > MAX_SPELLS:
        raise LimitError(
            "max_samples",
            f"its alerts would change their state more than {MAX_SPELLS:,} times: look at a shorter time, or at a"
            " threshold that is less often passed",
        )


def _extreme(lowest: bool) -> np.ufunc:
    # Both leave NaN out where there is anything else.
    return np.fmin if lowest else np.fmax
