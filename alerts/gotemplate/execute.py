"""An execution: what has been written, what it cost, its variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from alerts.gotemplate.bounds import (
    MAX_DEPTH,
    MAX_OUTPUT,
    MAX_SECONDS,
    MAX_STEPS,
    OutOfTime,
    TemplateError,
    TooLong,
)
from alerts.gotemplate.text.floats import format_float
from alerts.gotemplate.text.fmt import sprint
from alerts.gotemplate.text.quote import quote
from alerts.gotemplate.values import Data, Html, Sample, SampleStruct

FREE_STEPS = 16
"""So few steps take no time worth a look at the clock."""
Query = Callable[[str], list[tuple[dict[str, str], float]]]


class Execution:
    """One expansion of one template."""

    __slots__ = (
        "at",
        "data",
        "depth",
        "out",
        "programs",
        "queries",
        "query",
        "root",
        "size",
        "started",
        "steps",
        "vars",
    )

    def __init__(self, data: Data, programs: Mapping[str, Program], query: Query | None, at: float | None) -> None:
        self.data = data
        self.root: Any = data
        self.programs = programs
        self.query = query
        self.at = at
        self.out: list[str] = []
        self.size = 0
        self.steps = 0
        self.depth = 0
        self.queries = 0
        self.started = 0.0
        self.vars: list[list[Any]] = []

    def declare_globals(self) -> None:
        """The variables that Prometheus declares in front of every template."""
        data = self.data
        self.vars = [
            ["$", self.root],
            ["$labels", data.labels],
            ["$externalLabels", data.external_labels],
            ["$externalURL", data.external_url],
            ["$value", data.value],
        ]

    def step(self) -> None:
        """Counts a node or a call. Raises OutOfTime."""
        self.steps += 1
        if self.steps > FREE_STEPS:
            if self.steps > MAX_STEPS:
                raise OutOfTime(f"the template takes more than {MAX_STEPS} steps")
            self.check_time()

    def check_time(self) -> None:
        """Raises OutOfTime."""
        if not self.started:
            self.started = perf_counter()
        elif perf_counter() - self.started > MAX_SECONDS:
            raise OutOfTime(f"the template takes more than {MAX_SECONDS} seconds")

    def write(self, text: str) -> None:
        """Adds to the output. Raises TooLong."""
        self.out.append(text)
        self.size += len(text)
        if self.size > MAX_OUTPUT:
            raise TooLong

    def show(self, value: Any) -> None:
        """Writes a value as an action does."""
        kind = type(value)
        if kind is str:
            self.write(value)
        elif kind is float:
            self.write(format_float(value, "g", -1))
        elif value is None:
            self.write("<no value>")
        elif isinstance(value, Sample):
            self.write(sprint([SampleStruct(value.labels, value.value)]))
        else:
            self.write(sprint([value]))

    def lookup(self, name: str) -> Any:
        """The variable last declared by that name. Raises TemplateError."""
        return self._variable(name)[1]

    def assign(self, name: str, value: Any) -> None:
        """Raises TemplateError."""
        self._variable(name)[1] = value

    def _variable(self, name: str) -> list[Any]:
        variable: list[Any]
        for variable in reversed(self.vars):
            if variable[0] == name:
                return variable
        raise TemplateError(f"undefined variable: {name}")

    def call(self, name: str, data: Any, caller: int) -> None:
        """Executes another template; `caller` is the depth of the one that calls. Raises TemplateError."""
        program = self.programs[name]
        saved = self.root, self.vars, self.depth
        self.depth += caller
        if self.depth + program.depth > MAX_DEPTH:
            raise TemplateError(f"exceeded maximum template depth ({MAX_DEPTH})")
        self.root, self.vars = data, [["$", data]]
        program.run(self, data)
        self.root, self.vars, self.depth = saved

    def rendered(self, name: str, data: Any) -> Html:
        """What another template writes, as a value. Raises TemplateError."""
        if name not in self.programs:
            raise TemplateError(f"no template {quote(name)} associated with this template")
        saved, self.out = self.out, []
        try:
            self.call(name, data, 1)
        except TooLong:
            self.out = saved + self.out
            raise
        text, self.out = "".join(self.out), saved
        self.size -= len(text)
        return Html(text)


Run = Callable[[Execution, Any], Any]


class Program:
    """A compiled template: its nodes run one after the other with `.` as data."""

    __slots__ = ("body", "depth")

    def __init__(self, body: tuple[Run, ...], depth: int) -> None:
        self.body = body
        self.depth = depth

    def run(self, execution: Execution, dot: Any) -> None:
        for node in self.body:
            node(execution, dot)
