"""`manage.py alertmanager`."""

import argparse
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from alerts.incidents.routing.alertmanager_file import export_file, import_file
from alerts.routing.configuration import ConfigurationError


class Command(BaseCommand):
    """The routing of alerts, from and to an Alertmanager's configuration file."""

    help = "Imports an Alertmanager configuration file as the routing of alerts, or exports the routing as such a file."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """import FILE, or export."""
        actions = parser.add_subparsers(dest="action", required=True)
        importing = actions.add_parser("import", help="put the routing of a file in force; receivers become channels")
        importing.add_argument("file", type=Path)
        exporting = actions.add_parser("export", help="write the routing in force as a configuration file")
        exporting.add_argument("--secrets", action="store_true", help="with keys and URLs instead of <secret>")

    def handle(self, *args: object, action: str, **options: object) -> None:
        """Do it, and say what came of each receiver."""
        try:
            if action == "export":
                self.stdout.write(export_file(secrets=bool(options["secrets"])), ending="")
                return
            found = import_file(Path(str(options["file"])).read_text(), by=None, now=timezone.now())
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}") from None
        except (ConfigurationError, UnicodeDecodeError) as error:
            raise CommandError(str(error)) from None
        for what, names in (("created", found.created), ("changed", found.changed), ("left out", found.left_out)):
            for name in names:
                self.stdout.write(f"{what}: {name}")
        self.stdout.write(f"routing version {found.version.number} is in force")
