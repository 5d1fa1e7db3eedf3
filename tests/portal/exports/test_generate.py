"""Generated files are what the code defines."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from portal.exports import generate


def test_every_generated_file_is_up_to_date() -> None:
    assert generate.stale() == [], "run `make docs`"


def test_check_names_stale_files_and_generate_writes_only_those(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "GENERATED", [("a/fresh.md", lambda: "fresh\n"), ("stale.md", lambda: "new\n")])
    (tmp_path / "a").mkdir()
    (tmp_path / "a/fresh.md").write_text("fresh\n")
    (tmp_path / "stale.md").write_text("old\n")
    with pytest.raises(CommandError, match=r"^stale, run `make docs`: stale\.md$"):
        call_command("generate", check=True)
    assert (tmp_path / "stale.md").read_text() == "old\n"
    call_command("generate")
    assert capsys.readouterr().out == "wrote stale.md\n"
    assert (tmp_path / "stale.md").read_text() == "new\n"
    call_command("generate", check=True)
