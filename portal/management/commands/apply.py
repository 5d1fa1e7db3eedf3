"""`manage.py apply`."""

import argparse
import os
import sys
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from portal.configuration.apply import apply
from portal.configuration.documents import FileError, read

WOULD_CHANGE = 2


class Command(BaseCommand):
    """Configuration as code."""

    help = (
        "Brings workspaces, groups, runbooks, channels, rules, prices and budgets to what YAML files say; all or"
        " nothing."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Files, and how."""
        parser.add_argument("paths", nargs="+", type=Path, metavar="FILE|FOLDER")
        parser.add_argument(
            "--plan", action="store_true", help=f"change nothing, exit with {WOULD_CHANGE} when something would change"
        )
        parser.add_argument("--prune", action="store_true", help="remove what came from files and is in none of these")

    def handle(self, *args: object, **options: object) -> None:
        """Plan or apply."""
        only_plan = bool(options["plan"])
        paths = options["paths"]
        try:
            entries = read(paths if isinstance(paths, list) else [])
            changes = apply(entries, os.environ, only_plan=only_plan, prune=bool(options["prune"]))
        except FileError as error:
            raise CommandError(str(error)) from error
        for change in changes:
            self.stdout.write(str(change))
        verb = "would change" if only_plan else "changed"
        self.stdout.write(f"{len(changes)} of {len(entries)} {verb}.")
        if only_plan and changes:
            sys.exit(WOULD_CHANGE)
