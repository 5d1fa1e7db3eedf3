"""`manage.py rules`."""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from alerts.exchange import export, plan
from alerts.exchange.export import WRITERS
from alerts.rulefiles.rules import duplicates, read_rule_file
from alerts.rulefiles.unit_tests import run_test_file
from alerts.rules.edits import RuleError
from alerts.rules.groups import GroupError
from core.accounts.models import Workspace


class Command(BaseCommand):
    """Rule files: checked and tested as promtool does, imported and exported."""

    help = (
        "Checks rule files of Prometheus, runs promtool's unit tests of rules, imports rules from files and exports "
        "them. The exit code is 1 where something is wrong."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """What to do, and with which files."""
        actions = parser.add_subparsers(dest="action", required=True)
        for name, text in (
            ("check", "says with file, line and column for what Prometheus would not load a rule file"),
            ("test", "runs unit-test files in promtool's format and says what is not as expected"),
        ):
            action = actions.add_parser(name, help=text, description=text)
            action.add_argument("files", nargs="+", type=Path, metavar="FILE")
        text = "takes rules from files of Prometheus, vmalert, Grafana's provisioning or the simple format"
        importing = actions.add_parser(
            "import", help=text, description=f"{text}; says what is new, changed and not understood"
        )
        importing.add_argument("files", nargs="+", type=Path, metavar="FILE")
        importing.add_argument("--workspace", default="", help="whose the rules are (default: the whole portal's)")
        importing.add_argument(
            "--group", default="imported", help="group of rules in the simple format (default: imported)"
        )
        importing.add_argument("--dry-run", action="store_true", help="only say what would be done")
        importing.add_argument(
            "--partly", action="store_true", help="import what is understood; without it a problem stops the file"
        )
        exporting = actions.add_parser(
            "export", help="writes the rules as a file", description="writes the rules as a file"
        )
        exporting.add_argument("--format", choices=sorted(WRITERS), default="prometheus")
        exporting.add_argument("--workspace", default="", help="whose rules (default: the whole portal's)")
        exporting.add_argument("--group", action="append", default=[], help="only of this group; may be given again")

    def handle(self, *args: object, action: str, **options: Any) -> None:
        """Go through all files, then leave with the exit code."""
        if action == "export":
            rules = export.rules_of(workspace_of(options["workspace"]), options["group"])
            self.stdout.write(export.write(rules, options["format"]), ending="")
            return
        checks: dict[str, Callable[[Path, str], bool]] = {
            "check": self.check_file,
            "test": self.test_file,
            "import": partial(self.import_file, options=options),
        }
        verdicts = [self.with_text(file, checks[action]) for file in options["files"]]
        if not all(verdicts):
            sys.exit(1)

    def with_text(self, file: Path, run: Callable[[Path, str], bool]) -> bool:
        """Whether all is well with a file; one that cannot be read is not."""
        try:
            return run(file, file.read_text())
        except OSError as error:
            self.stderr.write(f"{file}: cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            self.stderr.write(f"{file}: is no UTF-8 text")
        return False

    def check_file(self, file: Path, text: str) -> bool:
        """Check a rule file."""
        found = read_rule_file(text, str(file))
        for problem in found.problems:
            self.stderr.write(str(problem))
        if found.problems:
            return False
        rules = sum(len(group.rules or []) for group in found.groups)
        self.stdout.write(f"{file}: {rules} rules found")
        for name, labels in duplicates(found.groups):
            self.stdout.write(f"{file}: {name} with the labels {labels} is there more than once")
        return True

    def test_file(self, file: Path, text: str) -> bool:
        """Run a file of unit tests."""
        failures = run_test_file(text, file)
        for failure in failures:
            self.stderr.write(f"{file}: FAILED: {failure}")
        if not failures:
            self.stdout.write(f"{file}: SUCCESS")
        return not failures

    def import_file(self, file: Path, text: str, options: dict[str, Any]) -> bool:
        """Import a file, or say what that would do."""
        owner = workspace_of(options["workspace"])
        found = plan.plan(plan.read_file(text, str(file), options["group"]), owner, str(file))
        for line in plan.lines(found):
            self.stdout.write(line)
        if found.problems and not options["partly"]:
            if not options["dry_run"]:
                self.stderr.write(f"{file}: nothing is imported; --partly imports what is understood")
            return False
        if not options["dry_run"]:
            try:
                plan.apply(found, owner, by=None, now=timezone.now(), changes_groups=True)
            except (RuleError, GroupError) as error:
                self.stderr.write(f"{file}: nothing is imported: {error}")
                return False
        return not found.problems


def workspace_of(slug: str) -> Workspace | None:
    """The workspace of that slug; None for none."""
    if not slug:
        return None
    found = Workspace.objects.filter(slug=slug).first()
    if found is None:
        raise CommandError(f"there is no workspace {slug}")
    return found
