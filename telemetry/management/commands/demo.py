"""`manage.py demo`."""

import argparse
import sys
from datetime import timedelta

from django.core.management.base import BaseCommand
from django.utils import timezone

from telemetry.samples import demo_traces
from usage.samples import demo
from usage.samples.replay.progress import Progress


class Command(BaseCommand):
    """History for people who try the portal."""

    help = (
        "Fills the workspace `demo` with invented records, traces and logs, up to now. Running it again adds nothing"
        " twice."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """How far back."""
        parser.add_argument("--hours", type=float, default=24, help="how far back to begin (default 24)")

    def handle(self, *args: object, **options: float) -> None:
        """Send, with progress."""
        now = timezone.now()
        with Progress(sys.stderr, "sending") as progress:
            start = now - timedelta(hours=options["hours"])
            accepted = demo.backfill(start, now, now, lambda share: progress(share / 2))
            executions = demo_traces.backfill(start, now, now, lambda share: progress(0.5 + share / 2))
        self.stdout.write(f"{accepted:,} records are new in the workspace demo, which has {executions:,} executions")
