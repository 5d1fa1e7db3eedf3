"""`manage.py demo`."""

import argparse
import sys
from datetime import timedelta

from django.core.management.base import BaseCommand
from django.utils import timezone

from usage.demo import backfill
from usage.replay.progress import Progress


class Command(BaseCommand):
    """History for people who try the portal."""

    help = "Fills the workspace `demo` with invented records of every kind, up to now. Running it again adds nothing twice."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """How far back."""
        parser.add_argument("--hours", type=float, default=24, help="how far back to begin (default 24)")

    def handle(self, *args: object, **options: float) -> None:
        """Send, with progress."""
        now = timezone.now()
        with Progress(sys.stderr, "sending") as progress:
            accepted = backfill(now - timedelta(hours=options["hours"]), now, now, progress)
        self.stdout.write(f"{accepted:,} records are new in the workspace demo")
