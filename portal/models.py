"""Tables of the project itself."""

from django.conf import settings
from django.db import models


class Heartbeat(models.Model):
    """When a scheduled task last ran: beat, queue and a worker are alive as long as this is recent."""

    name = models.CharField(max_length=50, primary_key=True)
    seen_at = models.DateTimeField()
    since = models.DateTimeField(help_text="Beats have come without a gap from here on.")

    def __str__(self) -> str:
        return f"{self.name} at {self.seen_at:%Y-%m-%d %H:%M:%S}"


class OneTimePassword(models.Model):
    """The user's password was made by the portal and must be changed at the first sign-in; gone when it was."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+")
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"one-time password of {self.user}"


class ExploredQuery(models.Model):
    """Queries that a person ran together in Explore, at the latest `at`."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    queries = models.JSONField(help_text="The texts, in their order.")
    at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "explored queries"
        indexes = [models.Index(fields=["user", "-at"], name="explored_query_of_user")]

    def __str__(self) -> str:
        return " · ".join(self.queries)[:80]
