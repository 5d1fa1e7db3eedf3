"""Runbooks from a folder: what its files say is there, and only there is it changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from alerts.models import Runbook
from alerts.runbooks.folder import Imported, import_folder, read_configured_folder
from core.api.managed import file_of
from portal.env import Config
from tests.alerts.pages.samples import text_of
from tests.people import browser_of, make_people
from tests.portal.api.world import client_of

pytestmark = pytest.mark.django_db

FRONT = "---\nslug: provider-down\ntitle: A provider is down\n---\n## Confirm\n- [ ] Ask them.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runbooks, one of them deeper."""
    root = tmp_path / "runbooks"
    (root / "team").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git" / "hidden.md").write_text("# Hidden\n")
    (root / "provider.md").write_text(FRONT)
    (root / "team" / "Slow tools.md").write_text("# Tools are slow #\nWait.\n")
    return root


def took(folder: Path) -> Imported:
    return import_folder(folder, None, now=timezone.now())


def test_files_become_runbooks_and_the_same_files_change_nothing(folder: Path) -> None:
    assert took(folder).new == ["provider-down", "slow-tools"]
    runbook = Runbook.objects.get(slug="provider-down")
    assert (runbook.title, runbook.versions.get().text) == ("A provider is down", "## Confirm\n- [ ] Ask them.\n")
    assert Runbook.objects.get(slug="slow-tools").title == "Tools are slow"
    assert file_of(runbook) == "runbooks folder: provider.md"
    again = took(folder)
    assert (again.new, again.changed, again.same) == ([], [], ["provider-down", "slow-tools"])


def test_a_changed_text_is_a_version_and_a_file_that_is_gone_frees_its_runbook(folder: Path) -> None:
    took(folder)
    (folder / "provider.md").write_text(FRONT.replace("Ask them", "Call them").replace("is down", "is away"))
    (folder / "team" / "Slow tools.md").unlink()
    found = took(folder)
    assert (found.changed, found.released) == (["provider-down"], ["slow-tools"])
    runbook = Runbook.objects.get(slug="provider-down")
    assert (runbook.title, runbook.versions.count()) == ("A provider is away", 2)
    assert file_of(Runbook.objects.get(slug="slow-tools")) == ""


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.md", "---\nslug: [\n---\nx", "a.md: its front matter is no YAML"),
        ("a.md", "---\n- x\n---\nx", "a.md: its front matter is no mapping"),
        ("a.md", "---\nslug: a b\n---\nx", "a.md: 'a b' is no slug"),
        ("new.md", "# New", "new.md: 'new' is no slug"),
        ("a.md", " \n", "a.md: is empty"),
        ("a.md", "x" * 200_001, "a.md: is larger than 200,000 bytes"),
        ("provider-down.md", "# Twice", "provider.md: has the slug provider-down, as provider-down.md has"),
    ],
)
def test_what_is_no_runbook_is_named_and_the_others_are_taken(folder: Path, name: str, text: str, problem: str) -> None:
    (folder / name).write_text(text)
    found = took(folder)
    assert len(found.problems) == 1
    assert found.problems[0].startswith(problem)
    assert len(found.new) == 2


def test_links_out_of_the_folder_are_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("# Secret")
    (folder / "out.md").symlink_to(tmp_path / "secret.md")
    assert took(folder).problems == ["out.md: leads out of the folder"]


def test_a_runbook_of_another_owner_is_left_alone(folder: Path) -> None:
    people = make_people()
    Runbook.objects.create(slug="provider-down", title="Ours", workspace=people.production)
    found = took(folder)
    assert found.problems == ["provider.md: the slug provider-down is taken by a runbook of another owner"]
    assert Runbook.objects.get(slug="provider-down").title == "Ours"


def test_neither_page_nor_api_edits_what_comes_from_a_file(folder: Path) -> None:
    took(folder)
    admin = make_people().admin
    browser, client = browser_of(admin), client_of(admin)
    page = text_of(browser.get("/runbooks/provider-down/"))
    assert "It is kept in <code>provider.md</code>" in page
    assert "/runbooks/provider-down/edit/" not in page
    for answer in (
        browser.post("/runbooks/provider-down/edit/", {"text": "x"}),
        browser.post("/runbooks/provider-down/restore/1"),
        client.patch("/api/v1/runbooks/provider-down", {"text": "x"}, format="json"),
        client.delete("/api/v1/runbooks/provider-down"),
    ):
        assert answer.status_code == 403
        assert "comes from the file provider.md" in answer.content.decode()
    assert Runbook.objects.get(slug="provider-down").versions.count() == 1


def test_the_command_says_what_it_did_and_fails_where_files_were_left_out(folder: Path, capsys: Any) -> None:
    call_command("runbooks", "import", str(folder), "--dry-run")
    assert "new: provider-down\nnew: slow-tools\n2 new, 0 changed, 0 the same" in capsys.readouterr().out
    assert not Runbook.objects.filter(slug="provider-down").exists()
    (folder / "a.md").write_text("")
    with pytest.raises(CommandError, match="1 files were left out"):
        call_command("runbooks", "import", str(folder))
    assert Runbook.objects.filter(slug="provider-down").exists()
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("runbooks", "import", str(folder / "none"))


def test_the_setting_s_folder_is_read_and_one_that_is_not_there_breaks_nothing(
    folder: Path, configure: Callable[..., Config], caplog: pytest.LogCaptureFixture
) -> None:
    read_configured_folder(timezone.now())
    configure(runbooks_dir=folder)
    read_configured_folder(timezone.now())
    assert Runbook.objects.filter(slug="provider-down").exists()
    configure(runbooks_dir=folder / "none")
    read_configured_folder(timezone.now())
    assert "the folder of runbooks cannot be read" in caplog.text
