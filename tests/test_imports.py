"""Who may import whom (docs/architecture.md), imports at the top only, and files that one can read in one go."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "promql": set(),
    "usage": {"promql"},
    "alerts": {"usage", "promql"},
    "portal": {"usage", "promql", "alerts"},
}
FILES = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]
MAX_LINES = 450
IDS = [str(path.relative_to(ROOT)) for path in FILES]


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


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_the_import_rule_holds(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    forbidden = set(MAY_IMPORT) - MAY_IMPORT[package] - {package}
    assert set(imported(ast.parse(path.read_text()))) & (forbidden | {"tests", "bench"}) == set()


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_import_hides_in_a_function_and_no_relative_one(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert hidden_imports(tree) == []
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level] == []


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_file_can_be_read_in_one_go(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_the_rule_sees_what_it_forbids() -> None:
    tree = ast.parse("import alerts.models\ndef f():\n    from usage import x\n")
    assert set(imported(tree)) == {"alerts", "usage"}
    assert hidden_imports(tree) == [3]
