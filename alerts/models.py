"""The tables of stages 8 to 10: rules and their history, alerts and their flips, channels and deliveries, runbooks."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class Severity(models.TextChoices):
    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Health(models.TextChoices):
    """Of a rule: whether its last evaluation worked."""

    UNKNOWN = "unknown"
    OK = "ok"
    ERROR = "err"


class State(models.TextChoices):
    """Of an alert. Pending and firing are open; the others are where an episode ends."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


OPEN_STATES = (State.PENDING, State.FIRING)


class Runbook(models.Model):
    """What to do about a rule; its text is the newest `RunbookVersion`."""

    slug = models.SlugField(unique=True, max_length=100)
    title = models.CharField(max_length=200)

    class Meta:
        ordering: ClassVar[list[str]] = ["title"]

    def __str__(self) -> str:
        return self.title


class RunbookVersion(models.Model):
    """One saved text of a runbook, Markdown. Numbers count from 1."""

    runbook = models.ForeignKey(Runbook, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    text = models.TextField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    author_name = models.CharField(max_length=150, blank=True, help_text="Stays when the account is gone.")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar[list[str]] = ["-number"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["runbook", "number"], name="runbook_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.runbook.slug} v{self.number}"


class Channel(models.Model):
    """Where notifications go. The configuration is encrypted and never shown again; `target` is its harmless part."""

    class Kind(models.TextChoices):
        SLACK = "slack", "Slack"
        EMAIL = "email", "Email"
        WEBHOOK = "webhook", "Webhook"

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    config_encrypted = models.BinaryField(editable=False)
    target = models.CharField(max_length=500, blank=True, editable=False)
    severities = models.JSONField(default=list, blank=True, help_text="Severities that it takes; empty takes all.")
    send_resolved = models.BooleanField(default=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name

    def takes(self, severity: str) -> bool:
        """Whether messages of this severity come here."""
        return not self.severities or severity in self.severities


class RuleGroup(models.Model):
    """Rules that are evaluated together, in order, at one timestamp per slot (a multiple of the interval since the epoch)."""

    name = models.CharField(max_length=200, unique=True)
    interval_seconds = models.PositiveIntegerField(default=60, validators=[MinValueValidator(5)])
    evaluated_until = models.DateTimeField(null=True, blank=True, editable=False, help_text="The last slot evaluated.")
    last_evaluated_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_duration_seconds = models.FloatField(null=True, blank=True, editable=False)
    slots_skipped = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="Missed slots that were too old to be made up for."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name


class Rule(models.Model):
    """One alerting rule. `expr` is PromQL in which `$threshold` stands for the tunable number."""

    group = models.ForeignKey(RuleGroup, on_delete=models.PROTECT, related_name="rules")
    position = models.PositiveIntegerField(default=0)
    name = models.CharField(max_length=200, unique=True, help_text="The label alertname of its alerts.")
    title = models.CharField(max_length=200, blank=True, help_text="What it watches, in the operator's words.")
    expr = models.TextField()
    threshold = models.FloatField(null=True, blank=True)
    unit = models.CharField(max_length=40, blank=True, help_text="Unit of the value.")
    threshold_unit = models.CharField(
        max_length=80, blank=True, help_text="What the threshold counts, if not the unit."
    )
    for_seconds = models.PositiveIntegerField(default=0)
    keep_firing_seconds = models.PositiveIntegerField(default=0)
    severity = models.CharField(max_length=20, choices=Severity.choices, default=Severity.WARNING)
    labels = models.JSONField(default=dict, blank=True)
    annotations = models.JSONField(default=dict, blank=True)
    enabled = models.BooleanField(default=True)
    paused_until = models.DateTimeField(null=True, blank=True)
    runbook = models.ForeignKey(Runbook, null=True, blank=True, on_delete=models.SET_NULL, related_name="rules")
    channels = models.ManyToManyField(
        Channel, blank=True, related_name="rules", help_text="Empty: every channel that takes the severity."
    )
    channel_kinds = models.JSONField(
        default=list, blank=True, help_text="While no channel is chosen: only these kinds."
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    health = models.CharField(max_length=10, choices=Health.choices, default=Health.UNKNOWN, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    last_evaluated_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_duration_seconds = models.FloatField(null=True, blank=True, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["group__name", "position", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def threshold_words(self) -> str:
        """The threshold with its unit, as people write it; empty without a threshold."""
        if self.threshold is None:
            return ""
        return f"{self.threshold:,g} {self.threshold_unit or self.unit}".rstrip()

    def is_paused(self, at: dt.datetime) -> bool:
        """Whether it is paused at that time."""
        return self.paused_until is not None and at < self.paused_until


class RuleChange(models.Model):
    """One edit of a rule: who, when, and each field's old and new value."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="changes")
    version = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    author_name = models.CharField(max_length=150, blank=True)
    fields = models.JSONField(help_text="{field: [old, new]}")

    class Meta:
        ordering: ClassVar[list[str]] = ["-version"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["rule", "version"], name="rule_change_once")
        ]

    def __str__(self) -> str:
        return f"{self.rule.name} v{self.version}"


class Alert(models.Model):
    """One episode of one label set of a rule, from its first hit until it resolves. All times but the last are slots."""

    rule = models.ForeignKey(Rule, on_delete=models.PROTECT, related_name="alerts")
    fingerprint = models.CharField(max_length=32, help_text="Hash of the labels.")
    labels = models.JSONField()
    state = models.CharField(max_length=10, choices=State.choices)
    value = models.FloatField(help_text="At the last hit.")
    annotations = models.JSONField(default=dict, help_text="Expanded at the last hit.")
    active_at = models.DateTimeField()
    fired_at = models.DateTimeField(null=True, blank=True)
    missing_since = models.DateTimeField(null=True, blank=True, help_text="First miss of an alert that keeps firing.")
    ended_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    acknowledged_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-active_at", "-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["rule", "fingerprint"], condition=Q(state__in=OPEN_STATES), name="alert_open_once"
            )
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["-fired_at"], condition=Q(fired_at__isnull=False), name="alert_history")
        ]

    def __str__(self) -> str:
        return f"{self.rule.name} {self.state}"

    @property
    def title(self) -> str:
        """The sentence that names it: its summary, else what its rule watches."""
        return str(self.annotations.get("summary") or self.rule.title or self.rule.name)

    @property
    def shown_labels(self) -> dict[str, str]:
        """The labels that tell this alert from its rule's others: without name and severity."""
        return {name: value for name, value in self.labels.items() if name not in ("alertname", "severity")}

    @property
    def fires_at(self) -> dt.datetime:
        """When it fires if its condition holds until then."""
        return self.active_at + dt.timedelta(seconds=self.rule.for_seconds)

    @property
    def fired_for(self) -> float | None:
        """Seconds from its firing to its end; None while open, or when it never fired."""
        return (self.ended_at - self.fired_at).total_seconds() if self.ended_at and self.fired_at else None


class Flip(models.Model):
    """One change of an alert's state. `at` is the slot that it happened at, `created_at` when it was found out."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="flips")
    from_state = models.CharField(max_length=10, choices=State.choices)
    to_state = models.CharField(max_length=10, choices=State.choices)
    at = models.DateTimeField()
    value = models.FloatField(null=True)
    threshold = models.FloatField(null=True, help_text="The rule's, when it happened.")
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["at", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["alert", "at", "to_state"], name="flip_once")
        ]

    def __str__(self) -> str:
        return f"{self.from_state} → {self.to_state}"

    @property
    def delay(self) -> dt.timedelta:
        """From the slot until it was evaluated."""
        return self.created_at - self.at


class Delivery(models.Model):
    """The task of bringing one flip to one channel, with its state. `attempts` says how often it was tried."""

    class State(models.TextChoices):
        PENDING = "pending"
        SENDING = "sending"
        SENT = "sent"
        FAILED = "failed"
        SKIPPED = "skipped"

    flip = models.ForeignKey(Flip, on_delete=models.CASCADE, related_name="deliveries")
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(Channel, null=True, on_delete=models.SET_NULL, related_name="deliveries")
    channel_name = models.CharField(max_length=100, help_text="Stays when the channel is gone.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        verbose_name_plural = "deliveries"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["flip", "channel"], name="delivery_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(state__in=["pending", "sending"]), name="delivery_due"
            ),
            models.Index(F("channel"), F("id").desc(), name="delivery_of_channel"),
        ]

    def __str__(self) -> str:
        return f"{self.channel_name}: {self.state}"


class DeliveryAttempt(models.Model):
    """One try to send. `reply` is what the other side said (HTTP status or SMTP reply), `error` why it did not work."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="tries")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    duration_seconds = models.FloatField()
    ok = models.BooleanField()
    reply = models.CharField(max_length=200, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["number"]

    def __str__(self) -> str:
        return f"try {self.number}: {'sent' if self.ok else self.error}"


def author_fields(by: Any) -> dict[str, Any]:
    """`author` and `author_name` of a history row; `by` is a user, or None for the portal itself."""
    return {"author": by, "author_name": by.get_username() if by is not None else "portal"}
