"""What the package may know."""

import ast
from pathlib import Path

import pytest

from alerts import gotemplate

FOLDER = Path(gotemplate.__file__).parent
ALLOWED = {"collections", "dataclasses", "datetime", "functools", "ipaddress", "math", "re2", "struct", "time", "typing", "urllib"}  # fmt: skip


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


MODULES = sorted(FOLDER.rglob("*.py"))
BELOW = {"text": set(), "functions": {"text"}, "language": {"text", "functions"}}


def test_it_imports_nothing_of_ours_and_no_django() -> None:
    for path in MODULES:
        others = {name for name in imported(path) if not name.startswith("alerts.gotemplate")}
        assert {name.split(".")[0] for name in others} <= ALLOWED | {"__future__"}, path.name


def test_no_user_s_pattern_reaches_python_s_re() -> None:
    assert all("re" not in imported(path) for path in MODULES)


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_only_rooms_below_it(room: str) -> None:
    names = {name for path in MODULES if path.parent.name == room for name in imported(path)}
    rooms = {name.split(".")[2] for name in names if name.startswith("alerts.gotemplate.")} & set(BELOW)
    assert names
    assert rooms <= BELOW[room] | {room}
