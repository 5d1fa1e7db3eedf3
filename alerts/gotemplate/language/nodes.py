"""The parse tree. `str` of a node is how Go writes it in its errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Node:
    """`at` is the offset in the text."""

    at: int


@dataclass(slots=True)
class Text(Node):
    text: str


@dataclass(slots=True)
class Dot(Node):
    def __str__(self) -> str:
        return "."


@dataclass(slots=True)
class Nil(Node):
    def __str__(self) -> str:
        return "nil"


@dataclass(slots=True)
class Literal(Node):
    """A bool, string or number; an integer that only fits a uint64 is an error when it is used."""

    value: Any
    source: str

    def __str__(self) -> str:
        return self.source


@dataclass(slots=True)
class Field(Node):
    """`.A.B`"""

    names: list[str]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(slots=True)
class Variable(Node):
    """`$x.A.B`"""

    name: str
    names: list[str]

    def __str__(self) -> str:
        return ".".join([self.name, *self.names])


@dataclass(slots=True)
class Identifier(Node):
    """A function's name."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(slots=True)
class Chain(Node):
    """`(…).A.B`, or a function's name with fields."""

    operand: Node
    names: list[str]

    def __str__(self) -> str:
        inner = f"({self.operand})" if isinstance(self.operand, Pipeline) else str(self.operand)
        return inner + "".join(f".{name}" for name in self.names)


@dataclass(slots=True)
class Command(Node):
    operands: list[Node]

    def __str__(self) -> str:
        return " ".join(f"({one})" if isinstance(one, Pipeline) else str(one) for one in self.operands)


@dataclass(slots=True)
class Pipeline(Node):
    """Commands, each given the result of the one before, and the variables that the last result goes to."""

    commands: list[Command] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    assigns: bool = False

    def __str__(self) -> str:
        to = f"{', '.join(self.variables)} {'=' if self.assigns else ':='} " if self.variables else ""
        return to + " | ".join(map(str, self.commands))


@dataclass(slots=True)
class Action(Node):
    pipeline: Pipeline

    def __str__(self) -> str:
        return f"{{{{{self.pipeline}}}}}"


@dataclass(slots=True)
class Branch(Node):
    """if, with or range."""

    kind: str
    pipeline: Pipeline
    body: list[Node]
    otherwise: list[Node] | None


@dataclass(slots=True)
class Break(Node):
    pass


@dataclass(slots=True)
class Continue(Node):
    pass


@dataclass(slots=True)
class Call(Node):
    """`{{template "name" pipeline}}`"""

    name: str
    pipeline: Pipeline | None


@dataclass(slots=True)
class Tree:
    """One template: the main one has no name. `depth` is how deep its nodes are nested."""

    name: str
    body: list[Node]
    depth: int


def walk(body: Iterable[Node]) -> Iterator[Node]:
    """Every node below these, themselves included."""
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(below(node))


def below(node: Node) -> Iterable[Node]:
    """The nodes that a node consists of."""
    if isinstance(node, Action):
        return [node.pipeline]
    if isinstance(node, Branch):
        return [node.pipeline, *node.body, *(node.otherwise or [])]
    if isinstance(node, Call):
        return [node.pipeline] if node.pipeline is not None else []
    if isinstance(node, Pipeline):
        return node.commands
    if isinstance(node, Command):
        return node.operands
    return [node.operand] if isinstance(node, Chain) else []
