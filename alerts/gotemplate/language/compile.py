"""Trees to closures, for the nodes that write and steer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from alerts.gotemplate.bounds import TemplateError
from alerts.gotemplate.execute import Execution, Program, Run
from alerts.gotemplate.language.nodes import Action, Branch, Break, Call, Continue, Node, Text, Tree
from alerts.gotemplate.language.parse import GLOBALS
from alerts.gotemplate.language.pipelines import Pipelines, declared
from alerts.gotemplate.text.fmt import sprint
from alerts.gotemplate.text.quote import quote
from alerts.gotemplate.values import AnyMap, QueryResult, is_map, to_bytes, truth


def compile_trees(trees: Mapping[str, Tree]) -> dict[str, Program]:
    """A program for each tree, by name."""
    names = declared(trees.values())
    return {name: _Compiler(tree, trees, names).program() for name, tree in trees.items()}


def sets_globals(trees: Mapping[str, Tree]) -> bool:
    """Whether a variable that Prometheus declares is set by some template, so that it has to be looked up."""
    return not declared(trees.values()).isdisjoint(["$", *GLOBALS])


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class _Compiler:
    def __init__(self, tree: Tree, trees: Mapping[str, Tree], names: frozenset[str]) -> None:
        self.tree = tree
        self.trees = trees
        self.pipelines = Pipelines(names)

    def program(self) -> Program:
        return Program(self.nodes(self.tree.body), self.tree.depth)

    def nodes(self, body: Iterable[Node]) -> tuple[Run, ...]:
        return tuple([self.node(node) for node in body])

    def node(self, node: Node) -> Run:
        if isinstance(node, Text):
            return _text(node.text)
        if isinstance(node, Action):
            return _action(self.pipelines.pipeline(node.pipeline), bool(node.pipeline.variables))
        if isinstance(node, Branch):
            return self.loop(node) if node.kind == "range" else self.condition(node)
        if isinstance(node, Call):
            return self.call(node)
        error = _Break if isinstance(node, Break) else _Continue if isinstance(node, Continue) else None
        if error is None:
            raise TemplateError(f"unknown node: {node}", node.at)
        return _leave(error)

    def condition(self, node: Branch) -> Run:
        """if and with."""
        pipeline = self.pipelines.pipeline(node.pipeline)
        body, otherwise = self.nodes(node.body), self.nodes(node.otherwise or ())
        moves = node.kind == "with"

        def run(execution: Execution, dot: Any) -> None:
            execution.step()
            mark = len(execution.vars)
            value = pipeline(execution, dot)
            if truth(value):
                inner = value if moves else dot
                for one in body:
                    one(execution, inner)
            else:
                for one in otherwise:
                    one(execution, dot)
            del execution.vars[mark:]

        return run

    def loop(self, node: Branch) -> Run:
        """range."""
        pipeline = self.pipelines.pipeline(node.pipeline)
        body, otherwise = self.nodes(node.body), self.nodes(node.otherwise or ())
        variables = node.pipeline.variables
        bind = _assigner(variables) if node.pipeline.assigns else _binder(len(variables))

        def run(execution: Execution, dot: Any) -> None:
            execution.step()
            mark = len(execution.vars)
            items = _items(pipeline(execution, dot), len(variables), node)
            inner = len(execution.vars)
            empty = True
            try:
                for key, item in items:
                    empty = False
                    execution.step()
                    bind(execution, key, item)
                    try:
                        for one in body:
                            one(execution, item)
                    except _Continue:
                        pass
                    del execution.vars[inner:]
            except _Break:
                pass
            if empty:
                for one in otherwise:
                    one(execution, dot)
            del execution.vars[mark:]

        return run

    def call(self, node: Call) -> Run:
        """{{template}} and {{block}}."""
        pipeline = self.pipelines.pipeline(node.pipeline) if node.pipeline is not None else None
        known, caller = node.name in self.trees, self.tree.depth + 1

        def run(execution: Execution, dot: Any) -> None:
            execution.step()
            if not known:
                raise TemplateError(f"template {quote(node.name)} not defined", node.at)
            execution.call(node.name, None if pipeline is None else pipeline(execution, dot), caller)

        return run


def _text(text: str) -> Run:
    def run(execution: Execution, dot: Any) -> None:
        execution.step()
        execution.write(text)

    return run


def _action(pipeline: Run, silent: bool) -> Run:
    def declare(execution: Execution, dot: Any) -> None:
        execution.step()
        pipeline(execution, dot)

    def show(execution: Execution, dot: Any) -> None:
        execution.step()
        value = pipeline(execution, dot)
        if type(value) is str:
            execution.write(value)
        else:
            execution.show(value)

    return declare if silent else show


def _leave(error: type[Exception]) -> Run:
    def run(execution: Execution, dot: Any) -> None:
        raise error

    return run


def _items(value: Any, variables: int, node: Branch) -> Iterable[tuple[Any, Any]]:
    """Keys and elements of what range is given; where range has one variable, it takes the element."""
    if value is None:
        return ()
    if isinstance(value, QueryResult):
        return enumerate(value)
    if isinstance(value, AnyMap):
        return [(key, value[key]) for key in sorted(value, key=to_bytes)]
    if is_map(value):
        return [(key, str(value[key])) for key in sorted(value, key=to_bytes)]
    if isinstance(value, int) and not isinstance(value, bool):
        if variables > 1:
            raise TemplateError(f"can't use {value} to iterate over more than one variable", node.at)
        return ((None, number) for number in range(value))
    raise TemplateError(f"range can't iterate over {sprint([value])}", node.at)


def _assigner(variables: list[str]) -> Any:
    def bind(execution: Execution, key: Any, item: Any) -> None:
        for name, value in zip(variables, (key, item) if len(variables) > 1 else (item,), strict=True):
            execution.assign(name, value)

    return bind


def _binder(count: int) -> Any:
    def bind(execution: Execution, key: Any, item: Any) -> None:
        if count:
            execution.vars[-1][1] = item
        if count > 1:
            execution.vars[-2][1] = key

    return bind
