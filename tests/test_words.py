"""One name has one meaning: names that were retired do not come back, nor do sentences in the portal's old private
vocabulary."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLACES = ("alerts", "bench", "core", "docs", "portal", "promql", "static", "telemetry", "templates", "tests", "usage")
KINDS = {".py", ".html", ".txt", ".js", ".css", ".sql", ".md"}
# The retired name, as a part of an identifier, and the field's word for what it meant.
NAMES = {
    "coarsen": "downsample",
    "directory": "series index, or folder",
    "epoch": "watermark; of Unix time: UNIX_EPOCH or epoch_seconds",
    "hit": "sample",
    "hits": "samples",
    "jump": "command palette",
    "most": "MAX_…",
    "packed": "chunk",
    "patience": "statement timeout",
    "says": "description, or format_…",
    "senders": "delivery pool",
    "told": "notified",
    "words": "description, text, or format_…",
}
ALLOWED = re.compile(
    # words of libraries, of an outcome, of a bound
    r"(UNIX_|_)?EPOCH|_?epoch(_seconds)?|log_directory|TemporaryDirectory|hit|most|at_most|packed"
)
# The same in prose and in languages without a parser here.
TEXTS = {
    r"(?i)coarsen": "downsample",
    r"(?<!Unix )(?<!')\b[Ee]poch\b(?! (seconds?|milliseconds|ms|FROM)\b)(?!')": "watermark",
    r"\b(?<!ip\.)packed\b": "chunk",
    r"\bMOST_": "MAX_",
    r"\bHit\b": "sample",
    r"(?i)\bjumps?\b": "command palette",
    r"(?i)\bpatience\b": "statement timeout",
    r"(?i)\bsenders\b": "delivery pool",
    r"(?i)\btold\b": "notified",
    r"\bsays=|\.says\b|-says\b|\bwords\(|-words\b": "description, or format_…",
}


def paths() -> list[Path]:
    """What people read: code, templates, styles and pages of documentation."""
    found = [ROOT / "README.md"]
    for place in PLACES:
        found += (path for path in sorted((ROOT / place).rglob("*")) if path.suffix in KINDS and path.is_file())
    return [path for path in found if path != Path(__file__)]


def identifiers(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that the module defines or uses, with its line."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                yield name, line
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, line
            case ast.keyword(arg=str(name)):
                yield name, node.value.lineno


def parts(name: str) -> set[str]:
    """The parts of a name in snake_case, CAPITALS or CamelCase."""
    return set(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_"))


@pytest.mark.parametrize("place", PLACES)
def test_no_identifier_is_a_retired_name(place: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name} (now: {NAMES[part]})"
        for path in sorted((ROOT / place).rglob("*.py"))
        for name, line in identifiers(ast.parse(path.read_text()))
        if not name.startswith("test_") and not ALLOWED.fullmatch(name)
        for part in parts(name) & NAMES.keys()
    ]
    assert found == []


def test_no_text_uses_a_retired_word() -> None:
    found = []
    for path in paths():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found += [
                f"{path.relative_to(ROOT)}:{number}: {hit[0]!r} (now: {better})"
                for pattern, better in TEXTS.items()
                for hit in re.finditer(pattern, line)
            ]
    assert found == []


def test_the_rules_see_what_they_forbid() -> None:
    code = "def told(): pass\nclass PackedRows: pass\nMOST_SEEN = panel.says\nf(words=1)"
    named = [name for name, _ in identifiers(ast.parse(code)) if parts(name) & NAMES.keys()]
    assert sorted(named) == ["MOST_SEEN", "PackedRows", "says", "told", "words"]
    line = "the epoch is packed, nobody is told, MOST_SEEN is the Hit; extract(epoch FROM at), the Unix epoch, 'epoch'"
    assert len([1 for pattern in TEXTS for _ in re.finditer(pattern, line)]) == 5
