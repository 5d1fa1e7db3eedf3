"""`manage.py prepare`: what `up` does before it starts the web server; also a step of its own for deployments."""

from django.core.management.base import BaseCommand
from django.utils import timezone

from portal.run.prepare import prepare


class Command(BaseCommand):
    """Tables and static files."""

    help = "Brings tables and static files up to date; any number of these may run at once."
    # They import every page, at every start; the tests have run them.
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: object) -> None:
        """Prepare."""
        prepare(timezone.now())
