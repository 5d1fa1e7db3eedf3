"""What a template may cost, and the errors that end an expansion."""

from __future__ import annotations

MAX_TEXT = 65536
"""Characters of a template."""
MAX_DEPTH = 100
"""Control structures, parentheses and template calls within each other."""
MAX_OUTPUT = 65536
"""Characters of the expansion, and of every string made on the way."""
MAX_STEPS = 100_000
"""Nodes and function calls executed by one expansion."""
MAX_SECONDS = 0.5
"""Wall time of one expansion, looked at between steps and within those that take long."""
MAX_QUERIES = 10
"""Calls of `query` by one expansion."""
MAX_PATTERN = 4096
"""Characters of a regular expression; compiling one takes time by its length."""


class TemplateError(ValueError):
    """A template that cannot be parsed or expanded; `position` is the offset in its text, where one is known."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


class TooLong(Exception):
    """The output, or a string on the way, is over MAX_OUTPUT."""


class OutOfTime(Exception):
    """The expansion took more steps or time than it may."""
