"""`manage.py up`, for `manage.py help`: manage.py itself runs it, before Django is loaded."""

import argparse
import sys

from django.core.management.base import BaseCommand

from portal.run.options import add_arguments
from portal.run.up import main


class Command(BaseCommand):
    """The portal as one foreground process."""

    help = "Starts the portal: embedded Postgres (unless DATABASE_URL is set), web server, Celery worker and beat."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """The options."""
        add_arguments(parser)

    def handle(self, *args: object, **options: object) -> None:
        """Run until stopped."""
        sys.exit(main(sys.argv[2:]))
