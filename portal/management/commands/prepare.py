"""`manage.py prepare`: what `up` does before it starts the web server; also for deployments that run it as a step of its own."""

import json

from django.core.management.base import BaseCommand
from django.utils import timezone

from portal.prepare import prepare


class Command(BaseCommand):
    """Tables, static files, first user and key."""

    help = "Brings tables and static files up to date. On the first start also makes the first user and API key: prints them as JSON."

    def handle(self, *args: object, **options: object) -> None:
        """Prepare and print."""
        self.stdout.write(json.dumps(prepare(timezone.now())))
