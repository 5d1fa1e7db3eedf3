"""`manage.py export`."""

from django.core.management.base import BaseCommand

from portal.configuration.documents import written


class Command(BaseCommand):
    """Configuration as code."""

    help = (
        "Prints what is set up as YAML for `manage.py apply`; secrets by the names of the variables that are to hold"
        " them."
    )

    def handle(self, *args: object, **options: object) -> None:
        """Print it."""
        self.stdout.write(written(), ending="")
