"""What can go wrong with a query, each with a message for the person who wrote it."""


class PromQLError(Exception):
    """Base of all errors of this package."""


class ParseError(PromQLError):
    """The text is not PromQL.

    `position` is the character offset of the error, where it is known; `suggestion` is the query that was
    probably meant, for a common mistake.
    """

    def __init__(self, message: str, position: int | None = None, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.suggestion = suggestion


class UnsupportedError(ParseError):
    """Valid PromQL that this engine does not evaluate (native histograms, extensions of other vendors)."""


class EvalError(PromQLError):
    """The query is well formed, but has no meaning on this data (many-to-many matching, duplicate label sets)."""


class LimitError(PromQLError):
    """The query needs more than the caller allows. `limit` names the field of Limits."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class UnavailableError(PromQLError):
    """The server that holds the series does not respond, refuses the caller, or returns something unreadable."""
