"""A YAML file in which every value knows its line and column, read into typed structs as
strictly as Prometheus reads it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import yaml

from core.bounded_yaml import BoundedLoader

MAX_CHARACTERS = 5_000_000
MAX_NODES = 500_000
NULL = "tag:yaml.org,2002:null"
STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`")

T = TypeVar("T")
Path = Sequence[str | int]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, and where. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class FileError(ValueError):
    """A file that cannot be read at all."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Document:
    """The first YAML document of a file. Scalars are texts, null is None; aliases and merge keys are followed."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self._lines = text.splitlines()
        if len(text) > MAX_CHARACTERS:
            raise self._error(1, 1, f"the file is longer than {MAX_CHARACTERS:,} characters")
        self._loader = BoundedLoader(text)
        self._left = MAX_NODES
        self._flattened: set[int] = set()
        try:
            self._root = self._loader.get_node() if self._loader.check_node() else None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            raise self._error(line, column, f"not YAML: {error.problem or error.context}") from None
        except (yaml.YAMLError, RecursionError) as error:
            raise self._error(1, 1, f"not YAML: {' '.join(str(error).split()) or 'it is nested too deep'}") from None

    def read(self, into: type[T]) -> T:
        """The document as a struct. Raises FileError with the place of what does not fit."""
        try:
            return msgspec.convert(self.data(), into, strict=False)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at `$")
            steps: list[str | int] = [name or int(number) for name, number in STEP.findall(path)]
            if unknown := UNKNOWN_FIELD.fullmatch(message):
                steps.append(unknown[1])
            raise FileError(self.problem(steps, message)) from None

    def data(self) -> Any:
        """The document as mappings, lists and texts. Raises FileError."""
        self._left = MAX_NODES
        try:
            return {} if self._root is None else self._plain(self._root)
        except RecursionError:
            raise self._error(1, 1, "the file is nested too deep") from None

    def problem(self, path: Path, message: str) -> Problem:
        """A problem at the value of a path, or at what stands nearest to it."""
        node, mark = self._root, None
        for step in path:
            found = self._child(node, step)
            if found is None:
                break
            mark, node = found
        if mark is None:
            return Problem(self.file, 1, 1, message)
        return Problem(self.file, mark.line + 1, mark.column + 1, message)

    def problem_in(self, path: Path, offset: int, message: str) -> Problem:
        """A problem at a character of a text value; at its beginning where YAML has folded or escaped it."""
        node: yaml.Node | None = self._root
        for step in path:
            found = self._child(node, step)
            node = found[1] if found else None
        if not isinstance(node, yaml.ScalarNode):
            return self.problem(path, message)
        start = node.start_mark
        line, column = start.line, start.column
        if node.style == "|":
            row = node.value.count("\n", 0, offset)
            line += 1 + row
            indent = len(self._lines[line]) - len(node.value.split("\n")[row]) if line < len(self._lines) else 0
            column = indent + offset - (node.value.rfind("\n", 0, offset) + 1)
        elif node.end_mark.line == line and "\\" not in self._lines[line]:
            column += offset + (node.style is not None)
        return Problem(self.file, line + 1, column + 1, message)

    def _child(self, node: yaml.Node | None, step: str | int) -> tuple[yaml.Mark, yaml.Node] | None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(step):
                    return key.start_mark, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            return node.value[step].start_mark, node.value[step]
        return None

    def _plain(self, node: yaml.Node) -> Any:
        self._left -= 1
        if self._left < 0:
            raise self._error(node.start_mark.line + 1, 1, f"the file has more than {MAX_NODES:,} values")
        if isinstance(node, yaml.ScalarNode):
            return None if node.tag == NULL else node.value
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(one) for one in node.value]
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node.start_mark.line + 1, node.start_mark.column + 1, "this is no value")
        if id(node) not in self._flattened:  # an alias is the same node again
            self._flattened.add(id(node))
            self._check_keys(node)
            try:
                self._loader.flatten_mapping(node)
            except yaml.YAMLError as error:
                problem = " ".join(str(error).split())
                raise self._error(
                    node.start_mark.line + 1, node.start_mark.column + 1, f"not YAML: {problem}"
                ) from None
        return {key.value: self._plain(value) for key, value in node.value}

    def _check_keys(self, node: yaml.MappingNode) -> None:
        found = set()
        for key, _ in node.value:
            line, column = key.start_mark.line + 1, key.start_mark.column + 1
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(line, column, "a key must be a text")
            if key.value in found:
                raise self._error(line, column, f'mapping key "{key.value}" already defined')
            found.add(key.value)

    def _error(self, line: int, column: int, message: str) -> FileError:
        return FileError(Problem(self.file, line, column, message))
