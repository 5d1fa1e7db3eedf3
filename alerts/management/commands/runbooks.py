"""`manage.py runbooks`."""

import argparse
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from alerts.runbooks.folder import import_folder
from core.accounts.models import Workspace


class Command(BaseCommand):
    """Runbooks from a folder."""

    help = "Imports runbooks from a folder of Markdown files, such as a checkout of a git repository."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """import DIR."""
        actions = parser.add_subparsers(dest="action", required=True)
        importing = actions.add_parser("import", help="make or change the runbooks that the folder's files say")
        importing.add_argument("folder", type=Path)
        importing.add_argument("--workspace", default="", help="whose they are to be; without it the whole portal's")
        importing.add_argument("--dry-run", action="store_true", help="only say what would be done")

    def handle(self, *args: object, folder: Path, workspace: str, dry_run: bool, **options: object) -> None:
        """Do it, and say what became of each file that changed something. Files that are no runbooks fail it."""
        owner = Workspace.objects.filter(slug=workspace).first() if workspace else None
        if workspace and owner is None:
            raise CommandError(f"there is no workspace {workspace}")
        try:
            found = import_folder(folder, owner, now=timezone.now(), dry_run=dry_run)
        except OSError as error:
            raise CommandError(f"{folder} cannot be read: {error.strerror}") from None
        for what, slugs in (("new", found.new), ("changed", found.changed), ("people's again", found.released)):
            for slug in slugs:
                self.stdout.write(f"{what}: {slug}")
        for problem in found.problems:
            self.stderr.write(f"left out: {problem}")
        self.stdout.write(f"{len(found.new)} new, {len(found.changed)} changed, {len(found.same)} the same")
        if found.problems:
            raise CommandError(f"{len(found.problems)} files were left out")
