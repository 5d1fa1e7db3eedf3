"""Who may import whom (docs/architecture.md), imports at the top only, and files that one can read in one go."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "promql": set(),
    "core": {"promql"},
    "usage": {"core", "promql"},
    "telemetry": {"core", "usage", "promql"},
    "alerts": {"core", "usage", "promql", "telemetry"},
    "portal": {"core", "usage", "promql", "telemetry", "alerts"},
}
FILES = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]
MAX_LINES = 450


def imported(tree: ast.AST) -> Iterator[str]:
    """The first part of the name of every imported module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def hidden_imports(tree: ast.AST) -> list[int]:
    """Lines of the imports inside functions."""
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    inside = {inner for function in functions for inner in ast.walk(function)}
    return [node.lineno for node in inside if isinstance(node, ast.Import | ast.ImportFrom)]


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """Every file's syntax tree by its path. One test looks at all files: a test for each
    would be a third of the suite's."""
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in FILES}


def test_the_import_rule_holds(trees: dict[str, ast.Module]) -> None:
    wrong = {}
    for path, tree in trees.items():
        package = path.partition("/")[0]
        forbidden = set(MAY_IMPORT) - MAY_IMPORT[package] - {package}
        if found := set(imported(tree)) & (forbidden | {"tests", "bench"}):
            wrong[path] = found
    assert wrong == {}


def test_no_import_hides_in_a_function_and_no_relative_one(trees: dict[str, ast.Module]) -> None:
    hidden = [f"{path}:{line}" for path, tree in trees.items() for line in hidden_imports(tree)]
    relative = [
        f"{path}:{node.lineno}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert (hidden, relative) == ([], [])


def test_a_file_can_be_read_in_one_go() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert {path: length for path, length in lengths.items() if length > MAX_LINES} == {}


def test_the_rule_sees_what_it_forbids() -> None:
    tree = ast.parse("import alerts.models\ndef f():\n    from usage import x\n")
    assert set(imported(tree)) == {"alerts", "usage"}
    assert hidden_imports(tree) == [3]
