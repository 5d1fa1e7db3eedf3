"""A progress bar of one line. Where the output is no terminal it says nothing: a log gets the summary only."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

WIDTH = 32


class Output(Protocol):
    """Where the bar is drawn."""

    def write(self, msg: str, /) -> object: ...
    def isatty(self) -> bool: ...
    def flush(self) -> None: ...


class Progress:
    """Called with the share that is done, it draws `sending ████░░ 61 %`, over what it drew before."""

    def __init__(self, output: Output, doing: str) -> None:
        self.output = output
        self.doing = doing
        self.shown = -1

    def __enter__(self) -> Progress:
        return self

    def __call__(self, share: float) -> None:
        """`share` is 0 to 1."""
        percent = min(100, int(share * 100))
        if percent == self.shown or not self.output.isatty():
            return
        self.shown = percent
        full = percent * WIDTH // 100
        self._draw(f"\r{self.doing} {'█' * full}{'░' * (WIDTH - full)} {percent} %")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.shown >= 0:
            self._draw("\n")

    def _draw(self, text: str) -> None:
        self.output.write(text)
        self.output.flush()
