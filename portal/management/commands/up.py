"""`manage.py up`."""

import argparse
import sys

from django.conf import settings
from django.core.management.base import BaseCommand

from portal.run import options as up_options
from portal.run import up


class Command(BaseCommand):
    """The portal as one foreground process."""

    help = "Starts the portal: embedded Postgres (unless DATABASE_URL is set), web server, Celery worker and beat."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """The options; manage.py has put their values into the environment already."""
        up_options.add_arguments(parser)

    def handle(self, *args: object, **options: object) -> None:
        """Run until stopped."""
        sys.exit(up.up(settings.PORTAL, settings.DATABASE_URL, with_parent=bool(options["with_parent"])))
