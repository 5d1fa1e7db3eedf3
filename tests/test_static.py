"""Scripts and styles: modules without a build step, under a policy that forbids them inline."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "static"
MODULES = sorted(STATIC.glob("*/*.js"))
STYLES = sorted(STATIC.glob("*/*.css"))
TEMPLATES = sorted(ROOT.glob("templates/**/*.html"))
# Sets the theme before the first paint, when no module has run yet.
CLASSIC = {"core/theme.js"}
LONGEST = 120
SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.DOTALL)
IMPORT = re.compile(r'^import .* from "(.*)";$', re.MULTILINE)
STATIC_TAG = re.compile(r"\{% static '([^']+)' %\}")


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def own(address: str) -> bool:
    return (STATIC / address.partition("/")[0]).is_dir()


def test_every_script_of_ours_is_a_module_but_the_one_that_runs_before_the_first_paint() -> None:
    found = {
        (address, 'type="module"' in attributes)
        for path in TEMPLATES
        for attributes, _ in SCRIPT.findall(path.read_text())
        for address in STATIC_TAG.findall(attributes)
        if own(address)
    }
    assert len(found) > len(CLASSIC)
    assert {address for address, is_module in found if not is_module} == CLASSIC


@pytest.mark.parametrize("path", TEMPLATES, ids=names)
def test_no_script_or_style_is_inline(path: Path) -> None:
    text = path.read_text()
    assert [body for _, body in SCRIPT.findall(text) if body.strip()] == []
    if "email" not in path.name:  # mail programs read no stylesheets
        assert re.findall(r"<style\b|\bstyle=|\son\w+=", text) == []


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_what_a_module_imports_is_there(path: Path) -> None:
    for address in IMPORT.findall(path.read_text()):
        assert address.startswith("."), "a bare name would need an import map in the page"
        assert (path.parent / address).resolve() in MODULES


def test_every_file_is_used_and_every_file_that_is_used_is_there() -> None:
    named = {address for path in TEMPLATES for address in STATIC_TAG.findall(path.read_text()) if own(address)}
    imported = {
        str((path.parent / address).resolve().relative_to(STATIC))
        for path in MODULES
        for address in IMPORT.findall(path.read_text())
    }
    there = {str(path.relative_to(STATIC)) for path in STATIC.glob("*/*") if path.is_file()}
    assert named | imported == there


@pytest.mark.parametrize("path", [*MODULES, *STYLES], ids=names)
def test_no_line_is_too_long_to_read(path: Path) -> None:
    allowed = 300 if path.name == "explore.js" else LONGEST  # one regular expression, a token per alternative
    assert [number for number, line in enumerate(path.read_text().splitlines(), 1) if len(line) > allowed] == []
