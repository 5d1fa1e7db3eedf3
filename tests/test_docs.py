"""The documentation tells of everything there is, its links lead somewhere, and it names no place of its making."""

import dataclasses
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from django.core.management import get_commands
from django.urls import URLPattern, URLResolver, get_resolver

from core.accounts.models import SCOPES
from portal.env import Config, env_name
from portal.shell.navigation import PAGES
from usage.catalog import FAMILIES, KINDS
from usage.records.records import AnyRecord

ROOT = Path(__file__).resolve().parent.parent
PAGES_OF_DOCS = {
    path.relative_to(ROOT): path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
EVERYTHING = "\n".join(PAGES_OF_DOCS.values())
API = PAGES_OF_DOCS[Path("docs/api.md")]
OWN_APPS = {"portal", "usage", "telemetry", "alerts"}


def addresses(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    """Every address of the portal, with `<name>` for what varies; the admin's left out."""
    for pattern in patterns:
        route = prefix + re.sub(r"<\w+:", "<", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            if pattern.namespace != "admin":
                yield from addresses(pattern.url_patterns, route)
        elif not str(pattern.pattern).startswith("^"):
            # A regular expression is the REST API's router; its addresses are in the generated docs/resources.md.
            yield "/" + route


ADDRESSES = list(addresses(get_resolver().url_patterns))


@pytest.mark.parametrize("name", [env_name(field) for field in dataclasses.fields(Config)])
def test_every_setting_is_documented(name: str) -> None:
    assert f"| `{name}` |" in PAGES_OF_DOCS[Path("docs/settings.md")]


@pytest.mark.parametrize("name", [family.name for family in FAMILIES])
def test_every_metric_is_documented(name: str) -> None:
    assert f"\n### {name}\n" in PAGES_OF_DOCS[Path("docs/metrics.md")]


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_record_is_in_the_reference_of_metrics(name: str) -> None:
    assert f"| `{name}` |" in PAGES_OF_DOCS[Path("docs/metrics.md")]


@pytest.mark.parametrize(
    "path", [path for path in ADDRESSES if path.startswith(("/api/", "/metrics", "/healthz", "/readyz"))]
)
def test_every_address_of_the_api_is_documented(path: str) -> None:
    shown = path.replace("<receipt_id>", "<receipt>")
    assert f"`{shown}`" in API


@pytest.mark.parametrize(
    "struct", msgspec.inspect.multi_type_info(AnyRecord.__args__), ids=lambda info: info.cls.__name__
)
def test_every_field_of_every_kind_is_documented(struct: msgspec.inspect.StructType) -> None:
    section = (
        API.split(f"### `{struct.tag}`")[1].split("\n##")[0]
        + API.split("### Fields of every record")[1].split("\n###")[0]
    )
    assert [field.encode_name for field in struct.fields if f"`{field.encode_name}`" not in section] == []


@pytest.mark.parametrize("scope", [name for name, _ in SCOPES])
def test_every_scope_is_documented(scope: str) -> None:
    assert f"| `{scope}` |" in API


@pytest.mark.parametrize("command", [name for name, app in get_commands().items() if app in OWN_APPS])
def test_every_command_is_documented(command: str) -> None:
    assert re.search(rf"manage\.py {command}\b", EVERYTHING)


@pytest.mark.parametrize("label", [entry.label for group in PAGES for entry in group.entries])
def test_every_page_is_in_the_readme(label: str) -> None:
    assert f"| {label} |" in PAGES_OF_DOCS[Path("README.md")]


@pytest.mark.parametrize("page", PAGES_OF_DOCS, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", PAGES_OF_DOCS[page], flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text()), target


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_of_the_docs_is_in_the_index() -> None:
    index = PAGES_OF_DOCS[Path("docs/README.md")]
    named = {path.name for path in PAGES_OF_DOCS if path.parent == Path("docs")} - {"README.md"}
    assert {name for name in named if f"]({name})" not in index} == set()


def place_of_making() -> re.Pattern[str]:
    """Paths and names of the machine that the tests run on: this checkout's and its environment's folders, and the
    host."""
    names = {str(ROOT), sys.prefix, socket.gethostname()} - {"localhost"}
    return re.compile("|".join(rf"(?<![\w/.-]){re.escape(name)}(?![\w.-])" for name in names if len(name) > 5))


def test_no_committed_file_names_the_place_of_its_making() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.split("\0")[:-1]]
    texts = {file: file.read_bytes().decode(errors="ignore") for file in files if file.is_file()}
    foreign = place_of_making()
    assert {str(file): match[0] for file, text in texts.items() if (match := foreign.search(text))} == {}
