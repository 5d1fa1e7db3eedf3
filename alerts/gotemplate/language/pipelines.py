"""Pipelines, commands and operands to closures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from alerts.gotemplate.bounds import MAX_OUTPUT, TemplateError, TooLong
from alerts.gotemplate.execute import Execution, Run
from alerts.gotemplate.functions.prometheus import FUNCTIONS
from alerts.gotemplate.functions.signature import TYPES, CallError, Function
from alerts.gotemplate.language.nodes import (
    Chain,
    Command,
    Dot,
    Field,
    Identifier,
    Literal,
    Nil,
    Node,
    Pipeline,
    Tree,
    Variable,
    walk,
)
from alerts.gotemplate.text.numbers import MAX_INT
from alerts.gotemplate.values import AnyMap, Data, Items, Sample, Struct, is_map, truth, type_name

Stage = Callable[[Execution, Any, Any], Any]
"""A command behind a pipe: it gets the result of the one before as well."""
DATA: dict[str, Callable[[Execution], Any]] = {
    "$labels": lambda execution: execution.data.labels,
    "$value": lambda execution: execution.data.value,
    "$externalLabels": lambda execution: execution.data.external_labels,
    "$externalURL": lambda execution: execution.data.external_url,
}
NOTHING = object()
"""No value was piped in."""


def declared(trees: Iterable[Tree]) -> frozenset[str]:
    """The variables that some pipeline declares or assigns."""
    return frozenset(
        name for tree in trees for node in walk(tree.body) if isinstance(node, Pipeline) for name in node.variables
    )


class Pipelines:
    """The compiler of one tree's pipelines; `names` are the variables that any of the trees sets."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def pipeline(self, node: Pipeline) -> Run:
        first = self.command(node.commands[0])
        stages = [self.stage(command) for command in node.commands[1:]]
        run = _piped(first, stages)
        return _declaring(run, node) if node.variables else run

    def command(self, node: Command) -> Run:
        """The first command of a pipeline."""
        word = node.operands[0]
        if isinstance(word, Identifier):
            return self.call(word, node.operands[1:])
        if len(node.operands) == 1:
            if isinstance(word, Nil):
                return _failing("nil is not a command", word.at)
            return self.operand(word)
        return self.given_arguments(word)

    def stage(self, node: Command) -> Stage:
        """A command that something is piped into."""
        word = node.operands[0]
        if isinstance(word, Identifier):
            return self.piped_call(word, node.operands[1:])
        run = self.given_arguments(word)
        return lambda execution, dot, final: run(execution, dot)

    def given_arguments(self, word: Node) -> Run:
        """What is no function, but was given arguments: an error once it is evaluated."""
        names: list[str] = []
        receiver: Run
        if isinstance(word, Field):
            receiver, names = _dot, word.names
        elif isinstance(word, Chain):
            receiver, names = self.operand(word.operand), word.names
        elif isinstance(word, Variable) and word.names:
            receiver, names = self.variable(Variable(word.at, word.name, [])), word.names
        if not names:
            return _failing(f"can't give argument to non-function {word}", word.at)
        before = _fields(receiver, names[:-1], word.at)
        name, at = names[-1], word.at

        def run(execution: Execution, dot: Any) -> Any:
            value = before(execution, dot)
            if value is None:
                return None
            get_field(value, name, at)
            reason = "is not a method but has arguments" if is_map(value) else ""
            raise TemplateError(f"{name} {reason or 'has arguments but cannot be invoked as function'}", at)

        return run

    def operand(self, node: Node) -> Run:
        """A value, wherever it stands."""
        if isinstance(node, Literal):
            return _literal(node)
        if isinstance(node, Dot):
            return _dot
        if isinstance(node, Field):
            return _fields(_dot, node.names, node.at)
        if isinstance(node, Variable):
            return self.variable(node)
        if isinstance(node, Pipeline):
            return self.pipeline(node)
        if isinstance(node, Identifier):
            return self.call(node, [])
        if isinstance(node, Chain):
            if isinstance(node.operand, Nil):
                return _failing(f"indirection through explicit nil in {node}", node.at)
            return _fields(self.operand(node.operand), node.names, node.at)
        return _constant(None)

    def variable(self, node: Variable) -> Run:
        name, names = node.name, node.names
        if name in self.names:
            return _fields(lambda execution, dot: execution.lookup(name), names, node.at)
        if name == "$":
            return _fields(lambda execution, dot: execution.root, names, node.at)
        if name == "$labels" and len(names) == 1:
            return _label(names[0])
        get = DATA[name]
        return _fields(lambda execution, dot: get(execution), names, node.at)

    def call(self, word: Identifier, operands: list[Node]) -> Run:
        """A function that nothing is piped into."""
        run = self.piped_call(word, operands, piped=False)
        return lambda execution, dot: run(execution, dot, NOTHING)

    def piped_call(self, word: Identifier, operands: list[Node], piped: bool = True) -> Stage:
        name, function, at = word.name, FUNCTIONS[word.name], word.at
        wrong = _wrong_count(name, function, len(operands), piped)
        if wrong:
            return lambda execution, dot, final: _raise(TemplateError(wrong, at))
        kinds = _kinds(function, len(operands) + piped)
        if function.run is None:
            return _logical(name, [self.argument(*one) for one in zip(operands, kinds, strict=False)])
        arguments = [self.argument(*one) for one in zip(operands, kinds, strict=False)]
        check = TYPES.get(kinds[-1]) if piped else None
        if piped and not arguments and check is None and not function.stateful:
            return _unary(function, name, at)
        return _call(function, name, at, arguments, check, piped)

    def argument(self, node: Node, kind: str) -> Run:
        """An operand that a parameter takes; literals and values of other types are errors when evaluated."""
        expected = TYPES.get(kind)
        if isinstance(node, Nil):
            return _failing("cannot assign nil to string", node.at) if kind == "string" else _constant(None)
        if expected is None:
            return self.operand(node)
        if isinstance(node, Literal):
            if kind != "string":
                return _failing(f"can't handle {node} for arg of type {expected}", node.at)
            fits = isinstance(node.value, str)
            return _literal(node) if fits else _failing(f"expected string; found {node}", node.at)
        run, at = self.operand(node), node.at
        return lambda execution, dot: checked(run(execution, dot), expected, at)


def checked(value: Any, expected: str, at: int) -> Any:
    """The value, if it is of that type. Raises TemplateError."""
    if type_name(value) == expected:
        return value
    if value is None:
        if expected == "string":
            raise TemplateError(f"invalid value; expected {expected}", at)
        return None
    raise TemplateError(f"wrong type for value; expected {expected}; got {type_name(value)}", at)


def get_field(value: Any, name: str, at: int) -> Any:
    """`.name` of a value. Raises TemplateError."""
    if value is None:
        return None
    if isinstance(value, AnyMap):
        return value.get(name)
    if is_map(value):
        found = value.get(name, "")
        return found if isinstance(found, str) else str(found)
    if isinstance(value, Data | Sample | Struct | Items):
        fields = value.fields()
        if name in fields:
            return fields[name]
    raise TemplateError(f"can't evaluate field {name} in type {type_name(value)}", at)


def _raise(error: Exception) -> Any:
    raise error


def _failing(message: str, at: int) -> Run:
    return lambda execution, dot: _raise(TemplateError(message, at))


def _constant(value: Any) -> Run:
    return lambda execution, dot: value


def _literal(node: Literal) -> Run:
    value = node.value
    if type(value) is int and value > MAX_INT:
        return _failing(f"{node.source} overflows int", node.at)
    return _constant(value)


def _dot(execution: Execution, dot: Any) -> Any:
    return dot


def _label(name: str) -> Run:
    def run(execution: Execution, dot: Any) -> Any:
        found = execution.data.labels.get(name, "")
        return found if type(found) is str else str(found)

    return run


def _fields(run: Run, names: list[str], at: int) -> Run:
    if not names:
        return run

    def get(execution: Execution, dot: Any) -> Any:
        value = run(execution, dot)
        for name in names:
            value = get_field(value, name, at)
        return value

    return get


def _piped(first: Run, stages: list[Stage]) -> Run:
    if not stages:
        return first
    if len(stages) == 1:
        (only,) = stages
        return lambda execution, dot: only(execution, dot, first(execution, dot))

    def run(execution: Execution, dot: Any) -> Any:
        value = first(execution, dot)
        for stage in stages:
            value = stage(execution, dot, value)
        return value

    return run


def _declaring(run: Run, node: Pipeline) -> Run:
    def assign(execution: Execution, dot: Any) -> Any:
        value = run(execution, dot)
        for name in node.variables:
            execution.assign(name, value)
        return value

    def declare(execution: Execution, dot: Any) -> Any:
        value = run(execution, dot)
        for name in node.variables:
            execution.vars.append([name, value])
        return value

    return assign if node.assigns else declare


def _wrong_count(name: str, function: Function, operands: int, piped: bool) -> str:
    given, wanted = operands + piped, len(function.parameters)
    if function.rest is not None:
        return f"wrong number of args for {name}: want at least {wanted} got {operands}" if given < wanted else ""
    return f"wrong number of args for {name}: want {wanted} got {given}" if given != wanted else ""


def _kinds(function: Function, count: int) -> list[str]:
    """The types of the parameters that so many arguments go to."""
    return [*function.parameters, *[function.rest or ""] * (count - len(function.parameters))][:count]


def _logical(name: str, arguments: list[Run]) -> Stage:
    """`and` and `or`: the first argument that decides, or the last."""
    wanted = name == "or"

    def run(execution: Execution, dot: Any, final: Any) -> Any:
        execution.step()
        value = None
        for argument in arguments:
            value = argument(execution, dot)
            if truth(value) == wanted:
                return value
        return value if final is NOTHING else final

    return run


def _unary(function: Function, name: str, at: int) -> Stage:
    """A function of just what is piped into it."""
    run = function.run
    if run is None:
        raise TypeError(name)

    def call(execution: Execution, dot: Any, final: Any) -> Any:
        execution.step()
        try:
            return bounded(run(final))
        except CallError as error:
            raise TemplateError(f"error calling {name}: {error}", at) from None

    return call


def _call(function: Function, name: str, at: int, arguments: list[Run], check: str | None, piped: bool) -> Stage:
    run, stateful = function.run, function.stateful
    if run is None:
        raise TypeError(name)

    def call(execution: Execution, dot: Any, final: Any) -> Any:
        execution.step()
        values = [argument(execution, dot) for argument in arguments]
        if piped:
            values.append(final if check is None else checked(final, check, at))
        try:
            return bounded(run(execution, *values) if stateful else run(*values))
        except CallError as error:
            raise TemplateError(f"error calling {name}: {error}", at) from None

    return call


def bounded(value: Any) -> Any:
    """The value, unless it is a string of more than MAX_OUTPUT. Raises TooLong."""
    if isinstance(value, str) and len(value) > MAX_OUTPUT:
        raise TooLong
    return value
