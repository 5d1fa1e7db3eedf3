"""CSV for people: what a client named cannot become a formula of the spreadsheet that opens it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import Any

from django.http import HttpResponse

FORMULA = ("=", "+", "-", "@", "\t", "\r")
NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*([eE][-+]?[0-9]+)?|Inf)")


def cell(value: Any) -> Any:
    """A cell; a text that a spreadsheet would take for a formula begins with an apostrophe, which it shows as text.
    Numbers stay."""
    if isinstance(value, str) and value.startswith(FORMULA) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return value


class CsvFile:
    """A response that is downloaded as a CSV file, row by row."""

    def __init__(self, name: str) -> None:
        self.response = HttpResponse(content_type="text/csv; charset=utf-8")
        self.response["Content-Disposition"] = f'attachment; filename="{name}"'
        self._writer = csv.writer(self.response)

    def add(self, row: Iterable[Any]) -> None:
        """Write a row."""
        self._writer.writerow([cell(value) for value in row])
