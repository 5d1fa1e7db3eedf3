"""`manage.py import_rules`."""

import argparse
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from alerts.rules.edits import RuleError, import_simple
from alerts.rules.expression import expand
from alerts.rules.simple import SimpleRuleError, parse_rules


class Command(BaseCommand):
    """Rules in the simple format, from a file."""

    help = "Adds the alert rules of a YAML file in the simple format (name, metric, condition, severity, notification)."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """The file, and where its rules go."""
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--group", default="imported", help="group of the rules (default: imported), made if missing"
        )

    def handle(self, *args: object, file: Path | str, group: str, **options: object) -> None:
        """Import, and show what became of each."""
        try:
            rules = import_simple(group, parse_rules(Path(file).read_text()), by=None, now=timezone.now())
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}") from None
        except (SimpleRuleError, RuleError) as error:
            raise CommandError(f"{file}: {error}") from None
        for rule in rules:
            self.stdout.write(f"{rule.name}: {expand(rule.expr, rule.threshold)}")
