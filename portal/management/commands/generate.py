"""`manage.py generate`."""

import argparse

from django.core.management.base import BaseCommand, CommandError

from portal.exports.generate import generate, stale


class Command(BaseCommand):
    """Generated files."""

    help = "Rewrites the files that are made from the code (reference pages, Grafana and Prometheus files)."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """`--check` writes nothing."""
        parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")

    def handle(self, *args: object, **options: object) -> None:
        """Write or check."""
        if not options["check"]:
            self.stdout.write("".join(f"wrote {path}\n" for path in generate()), ending="")
        elif old := stale():
            raise CommandError(f"stale, run `make docs`: {', '.join(old)}")
