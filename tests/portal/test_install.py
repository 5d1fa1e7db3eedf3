"""`.ci/install-python` makes the virtual environment once, and says clearly what it lacks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import ROOT

TOOLS = ("bash", "env", "dirname", "cmp", "cp", "rm", "grep", "tee", "tail")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A tree with the script and an empty lock, and a folder `bin` that is the whole PATH."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / ".ci/install-python", tmp_path / ".ci")
    (tmp_path / "requirements.txt").write_text("# nothing ==\n")
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    return tmp_path


def install(clone: Path) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    environment = {"PATH": str(clone / "bin"), "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(
        [str(clone / ".ci/install-python"), "requirements.txt"],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def program(path: Path, text: str) -> None:
    """Write a shell script."""
    path.write_text(f"#!{shutil.which('bash')}\n{text}\n")
    path.chmod(0o755)


def test_an_old_python_is_refused_with_what_to_do(clone: Path) -> None:
    program(clone / "bin/python3", 'if [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi')
    refused = install(clone)
    assert refused.returncode == 1
    assert refused.stderr == (
        "portal: Python 3.11 or newer is needed; found Python 3.9.2."
        " Install it, or say where it is: make run PYTHON=/path/to/python3\n"
    )


def test_a_python_without_ensurepip_is_refused_with_what_to_do(clone: Path) -> None:
    program(clone / "bin/python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    refused = install(clone)
    assert refused.returncode == 1
    assert refused.stderr == (
        "portal: python3 cannot make virtual environments; on Debian: apt-get install python3-venv\n"
    )


def test_it_installs_once_per_change_of_the_lock_and_a_failure_is_tried_again(clone: Path) -> None:
    (clone / "bin/python3").symlink_to(sys.executable)
    assert install(clone).returncode == 0
    again = install(clone)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    (clone / "requirements.txt").write_text("not a requirement\n")
    for _ in range(2):
        refused = install(clone)
        assert refused.returncode == 1
        assert "portal: the packages could not be installed; the end of .venv/install.log:\n" in refused.stderr
        assert "Invalid requirement" in refused.stderr
