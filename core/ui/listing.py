"""Lists that may be long: searched and paged on the server, by the URL's `text` and `page`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.http import QueryDict

Row = TypeVar("Row")
PAGE = 25
LONGEST_TEXT = 200


@dataclass(frozen=True)
class Listing(Generic[Row]):
    """A page of the rows that match; `total` counts all, `kept` are the URL's other parameters."""

    rows: Sequence[Row]
    number: int
    matching: int
    total: int
    text: str
    kept: list[tuple[str, str]]

    @property
    def first(self) -> int:
        """The place of the first row shown, from 1."""
        return (self.number - 1) * PAGE + 1

    @property
    def last(self) -> int:
        """The place of the last one."""
        return self.first + len(self.rows) - 1

    @property
    def previous(self) -> int | None:
        """The page before."""
        return self.number - 1 if self.number > 1 else None

    @property
    def following(self) -> int | None:
        """The page after."""
        return self.number + 1 if self.last < self.matching else None

    @property
    def is_long(self) -> bool:
        """Whether it needs searching: there is more than a page."""
        return self.total > PAGE


def listing(rows: Sequence[Row], params: QueryDict, searched_in: Callable[[Row], str]) -> Listing[Row]:
    """The page that the URL asks for, of the rows whose `searched_in` holds its text; one past the end is the last."""
    text = searched(params).lower()
    found = [row for row in rows if text in searched_in(row).lower()] if text else rows
    return listed(params, len(rows), len(found), lambda start, end: found[start:end])


def searched(params: QueryDict) -> str:
    """The text that the URL looks for."""
    return params.get("text", "")[:LONGEST_TEXT].strip()


def listed(params: QueryDict, total: int, matching: int, rows: Callable[[int, int], Sequence[Row]]) -> Listing[Row]:
    """The page that the URL asks for, of rows that are read from one place to another."""
    wanted = params.get("page", "")
    last = max(1, -(-matching // PAGE))
    number = min(max(int(wanted), 1), last) if wanted.isdecimal() and len(wanted) < 9 else 1
    kept = [
        (name, value) for name, values in params.lists() if name not in ("page", "text", "part") for value in values
    ]
    return Listing(rows((number - 1) * PAGE, number * PAGE), number, matching, total, searched(params), kept)
