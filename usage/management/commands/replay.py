"""`manage.py replay`."""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from usage.samples.replay.draw import DISTRIBUTIONS, seconds
from usage.samples.replay.plan import LABELS, Options, Plan, plan
from usage.samples.replay.progress import Progress
from usage.samples.replay.read import FileError, read_table
from usage.samples.replay.send import Sender, SendError, Summary, send_all

KEY_VARIABLE = "LLM_USAGE_KEY"
PACE_SECONDS = 1.0


def between(text: str) -> tuple[float, float]:
    """`20m-35m` as seconds."""
    start, _, end = text.partition("-")
    try:
        span = seconds(start), seconds(end)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if span[0] >= span[1]:
        raise argparse.ArgumentTypeError("the first time must be before the second")
    return span


def share(text: str) -> float:
    """A number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("expected a number from 0 to 1")
    return value


def positive(text: str) -> float:
    """A number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("expected a number above 0")
    return value


class Command(BaseCommand):
    """A file of calls, sent as an application would."""

    help = "Sends a CSV or NDJSON file of LLM calls through the HTTP API, at its own pace or shifted to end now."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """See docs/replay.md."""
        parser.add_argument("file", type=Path, metavar="FILE", help="CSV with a header, or NDJSON")
        parser.add_argument("--at", default="at", metavar="COLUMN", help="time of the call (default at)")
        parser.add_argument("--prompt-tokens", metavar="COLUMN", help="column of the prompt's tokens")
        parser.add_argument("--completion-tokens", metavar="COLUMN", help="column of the completion's tokens")
        for name in LABELS:
            parser.add_argument(f"--{name}", default="", metavar="VALUE", help="NAME, A=0.7,B=0.3 or column:COLUMN")
        forms = ", ".join(f"{name}:{form}" for name, (form, _) in DISTRIBUTIONS.items())
        parser.add_argument("--duration", default="", metavar="SECONDS", help=f"column:COLUMN or {forms}")
        parser.add_argument("--fail", type=share, default=0.0, metavar="SHARE", help="calls to strip of token counts")
        parser.add_argument("--fail-between", type=between, metavar="FROM-TO", help="only there, e.g. 20m-35m")
        parser.add_argument("--seed", type=int, default=0, help="another seed draws otherwise, and counts anew")
        pace = parser.add_mutually_exclusive_group()
        pace.add_argument("--speed", type=positive, default=1.0, help="times the original pace (default 1)")
        pace.add_argument("--now", action="store_true", help="shift to end now, and send at once")
        parser.add_argument("--traces", action="store_true", help="send a trace and a log line around each call too")
        parser.add_argument("--url", default="", help="the portal (default: this one)")
        parser.add_argument("--key", default="", help=f"API key (default: the environment's {KEY_VARIABLE})")
        parser.add_argument("--batch", type=int, default=500, metavar="RECORDS", help="records per request")
        parser.add_argument("--tries", type=int, default=10, help="per request, while the portal is away or busy")

    def handle(self, *args: object, **options: Any) -> None:
        """Send, and say what the receipts say."""
        key = options["key"] or os.environ.get(KEY_VARIABLE, "")
        if not key:
            raise CommandError(f"an API key is needed: --key, or {KEY_VARIABLE} in the environment")
        try:
            made = plan(read_table(options["file"]), options_of(options))
            sender = Sender(options["url"] or settings.PORTAL.public_url, key, options["tries"])
            summary = replay(made, sender, options)
        except (FileError, SendError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(summary.text())
        if not summary.complete:
            raise CommandError("; ".join(summary.reasons) or "the receipts do not account for every record")


def options_of(given: dict[str, Any]) -> Options:
    """The part of the command's options that says what the file means."""
    tokens = {name: given[name] for name in ("prompt_tokens", "completion_tokens") if given[name]}
    labels = {name: given[name] for name in LABELS}
    return Options(given["at"], tokens, labels, given["duration"], given["seed"], given["fail"], given["fail_between"])


def replay(made: Plan, sender: Sender, options: dict[str, Any]) -> Summary:
    """Send a plan. Raises SendError."""
    start = time.time()
    at = made.ending_at(start) if options["now"] else made.paced(start, options["speed"])
    span = float("inf") if options["now"] else PACE_SECONDS
    count = len(made.records)
    with Progress(sys.stderr, f"sending {count:,} records") as progress:
        return send_all(
            sender,
            made.batches(at, options["batch"], span),
            lambda due: time.sleep(max(0.0, due - time.time())),
            lambda sent: progress(sent / count),
            options["traces"],
        )
