"""The tables of accounts: workspaces, their members, and the keys of applications."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

DEMO = "demo"  # the slug of the workspace of demo traffic
SCOPES = (
    ("ingest", "send records"),
    ("query", "read series, and all that pages show"),
    ("admin", "change what operators change"),
    ("backfill", "send old records"),
)


class Workspace(models.Model):
    """A tenant: keys write into one, people see those they are members of."""

    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    time_zone = models.CharField(
        max_length=64, default="UTC", help_text="Such as Europe/Berlin: costs and budgets count days by it."
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """What a person may do in a workspace. Superusers may do everything everywhere."""

    ROLES = (("viewer", "viewer"), ("operator", "operator"), ("admin", "admin"))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=ROLES, default="viewer")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "workspace"], name="one_membership")]

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace} as {self.role}"


class Preferences(models.Model):
    """What a person chose for themselves; who chose nothing has no row."""

    class Theme(models.TextChoices):
        AUTO = "auto", "as the system"
        LIGHT = "light", "light"
        DARK = "dark", "dark"

    class Density(models.TextChoices):
        COMFORTABLE = "comfortable", "comfortable"
        COMPACT = "compact", "compact"

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="preferences"
    )
    time_zone = models.CharField(max_length=64, blank=True, help_text="In which times are shown; empty: the browser's.")
    theme = models.CharField(max_length=10, choices=Theme.choices, default=Theme.AUTO)
    density = models.CharField(max_length=20, choices=Density.choices, default=Density.COMFORTABLE)
    landing_page = models.CharField(max_length=40, blank=True, help_text="Name of its URL; empty: the overview.")

    def __str__(self) -> str:
        return f"preferences of {self.user}"


class Owned(models.Model):
    """Something that belongs to a workspace, or to the whole portal."""

    workspace = models.ForeignKey(
        Workspace,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Whose it is; empty: the whole portal's.",
    )

    class Meta:
        abstract = True


class ApiKey(models.Model):
    """A key of an application. Only its SHA-256 is stored: the key is 256 random bits, so a slow hash would add
    nothing."""

    STATES = (("valid", "valid"), ("expired", "expired"), ("revoked", "revoked"))
    workspace = models.ForeignKey(
        Workspace,
        on_delete=models.CASCADE,
        related_name="keys",
        null=True,
        blank=True,
        help_text="Empty: all of them, to read and to change rules, but not to send records.",
    )
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=20, choices=SCOPES), default=list)
    rate = models.PositiveIntegerField(null=True, blank=True, help_text="Requests per minute; empty: the setting's.")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def clean(self) -> None:
        """Records belong to one workspace, so a key of all of them sends none."""
        if self.workspace_id is None and not {"ingest", "backfill"}.isdisjoint(self.scopes):
            raise ValidationError({"scopes": "A key of all workspaces sends no records."})

    def is_valid(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.state(now) == "valid"

    def state(self, now: datetime) -> str:
        """One of STATES."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


class Invitation(models.Model):
    """A link that makes whoever opens it a member of a workspace, once."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(max_length=20, choices=Membership.ROLES, default="viewer")
    email = models.EmailField(blank=True)
    digest = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    def __str__(self) -> str:
        return f"{self.email or 'whoever has the link'} to {self.workspace} as {self.role}"
