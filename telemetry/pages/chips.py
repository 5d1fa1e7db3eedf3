"""What is typed into a search bar, as chips: `model = gpt-4o`, `duration > 0.5 s`, `"free text"`.
The chips are the URL's `q` parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Filters = TypeVar("Filters")
MAX_CHIPS, MAX_LENGTH = 20, 300
# Whose values are taken as they are: quotes belong to them.
VERBATIM = ("pattern",)
_TERM = re.compile(r"\s*([A-Za-z][\w.:/-]*)\s*(>=|<=|!=|=|>|<)\s*(.+?)\s*")
_TRACE = re.compile(r"[0-9a-fA-F]{32}")
_NUMBER = re.compile(r"\$?\s*([0-9]*\.?[0-9]+)\s*(\D*)")
# Multiples of a second, of one, of a dollar.
UNITS = {"": 1.0, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "k": 1e3}
_MILLION = 1e6


@dataclass(frozen=True)
class Chip:
    """A condition. Without a `name` it is free text. `text` is how the URL and the bar have it."""

    name: str
    operator: str
    value: str

    @property
    def text(self) -> str:
        """`name=value` as it is typed; free text as it is."""
        return f"{self.name}{self.operator}{self.value}" if self.name else self.value


def parse(text: str) -> Chip:
    """A chip of what was typed."""
    text = text.replace("\x00", "").strip()[:MAX_LENGTH]
    match = _TERM.fullmatch(text)
    if match is None:
        return Chip("", "", text.strip('"'))
    return Chip(match[1], match[2], match[3] if match[1] in VERBATIM else match[3].strip('"'))


def parse_all(texts: Sequence[str]) -> list[Chip]:
    """The chips of a URL, each once."""
    found = [parse(text) for text in texts[:MAX_CHIPS] if text.strip()]
    return [*dict.fromkeys(found)]


def is_trace_id(text: str) -> bool:
    """Whether it is a trace's id in hex, as people paste it."""
    return bool(_TRACE.fullmatch(text.strip()))


def number(text: str) -> float:
    """A number with a unit: seconds of `300 ms`, 1500 of `1.5k`. Raises ValueError."""
    match = _NUMBER.fullmatch(text.strip())
    unit = match[2].strip() if match else ""
    if match is None or not (unit in UNITS or unit == "M"):
        raise ValueError(f"“{text}” is no number")
    return float(match[1]) * (_MILLION if unit == "M" else UNITS[unit])


def apply_all(
    chips: Sequence[Chip], filters: Filters, narrowed: Callable[[Filters, Chip], Filters]
) -> tuple[Filters, list[Chip], list[str]]:
    """The filters with each chip's condition, the chips used, and what is wrong with the others, for which `narrowed`
    raises ValueError."""
    used, problems = [], []
    for chip in chips:
        try:
            filters = narrowed(filters, chip)
            used.append(chip)
        except ValueError as error:
            problems.append(f"{chip.text}: {error}")
    return filters, used, problems
