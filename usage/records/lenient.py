"""2 validate: the other forms in which encoders write numbers and times, taken where nothing can be misread.

Only what the strict decoder refused comes here, so a body without such values is read as fast as before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import numpy as np

from promql.values import Floats

_WHOLE = re.compile(r"[0-9]{1,19}")
_DECIMAL = re.compile(r"[0-9]{1,19}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?")
COUNTS = frozenset({"prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"})
QUANTITIES = frozenset({"cost_usd", "duration_seconds", "rate_limit_delay_seconds", "value"})
# A Unix time from 1e11 on would be, in seconds, after the year 5138: it is in milliseconds, then micro- and
# nanoseconds.
SMALLER_UNITS = ((1e11, 1e3), (1e14, 1e6), (1e17, 1e9))


def in_seconds(epochs: Floats) -> Floats:
    """Unix times in seconds, whichever unit each is in."""
    with np.errstate(invalid="ignore"):
        if not (epochs >= SMALLER_UNITS[0][0]).any():
            return epochs
        divisors = np.ones(len(epochs))
        for least, divisor in SMALLER_UNITS:
            divisors[epochs >= least] = divisor
        return epochs / divisors


def plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """A record's fields with numbers and the time as the strict reading takes them; what may mean two things stays as
    it is."""
    return {name: plain_value(name, value) if isinstance(value, str) else value for name, value in given.items()}


def plain_value(name: str, text: str) -> object:
    """A field's text as the number or time that it says, or the text itself."""
    if name in COUNTS:
        return int(text) if _WHOLE.fullmatch(text) else text
    if name in QUANTITIES:
        return float(text) if _DECIMAL.fullmatch(text) else text
    return plain_time(text) if name == "at" else text


def plain_time(text: str) -> object:
    """Unix time as a number; ISO 8601 and mail dates as a time where they name their offset."""
    if _DECIMAL.fullmatch(text):
        return float(text)
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = parse(text)
        except ValueError:
            continue
        if found.tzinfo is not None:
            return found
    return text
