"""The tables of stages 8 to 10: rules and their history, alerts and their flips, channels and deliveries."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from alerts.canary.models import CanaryRun
from alerts.incidents.models import Incident, IncidentEvent, Member, RoutingVersion, Silence
from alerts.notify.models import MessageTemplate
from alerts.oncall.models import Escalation, EscalationPolicy, Override, Rotation, Schedule
from alerts.recording.models import RecordedSeries, RecordedSlot
from alerts.rules.models import BoundModel, FiledModel, JudgedModel, RuleGroup, Severity, WithoutData
from alerts.runbooks.models import Runbook, RunbookVersion
from alerts.silencing.models import RecurringSilence
from core.accounts.holder import Actor, user_of
from core.accounts.models import Owned

__all__ = [
    "CanaryRun",
    "Escalation",
    "EscalationPolicy",
    "Incident",
    "IncidentEvent",
    "Member",
    "MessageTemplate",
    "Override",
    "RecordedSeries",
    "RecordedSlot",
    "RecurringSilence",
    "Rotation",
    "RoutingVersion",
    "RuleGroup",
    "Runbook",
    "RunbookVersion",
    "Schedule",
    "Severity",
    "Silence",
    "WithoutData",
]


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


class SharedChannels(models.Manager["Channel"]):
    """Channels of teams, without those that are somebody's own and the portal's own."""

    def get_queryset(self) -> models.QuerySet[Channel]:
        """Of nobody alone."""
        return super().get_queryset().filter(person=None).exclude(kind="canary")


class Channel(Owned):
    """Where notifications go. The configuration is encrypted and never shown again; `target` is its harmless part.

    One with a `person` is that person's own: `objects` leaves it out. Only escalations send there, `delay_seconds`
    after their step, or, where it `follows` alerts, every incident of these.
    """

    class Follows(models.TextChoices):
        MINE = "mine", "that I own or am on call for"
        WORKSPACES = "workspaces", "of my workspaces"

    class Kind(models.TextChoices):
        SLACK = "slack", "Slack"
        EMAIL = "email", "Email"
        WEBHOOK = "webhook", "Webhook"
        SLACK_BOT = "slack_bot", "Slack with threads"
        PAGERDUTY = "pagerduty", "PagerDuty"
        OPSGENIE = "opsgenie", "Opsgenie"
        TEAMS = "teams", "Microsoft Teams"
        DISCORD = "discord", "Discord"
        TELEGRAM = "telegram", "Telegram"
        GOOGLE_CHAT = "google_chat", "Google Chat"
        NTFY = "ntfy", "ntfy"
        ALERTMANAGER = "alertmanager", "Alertmanager"

    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    config_encrypted = models.BinaryField(editable=False)
    target = models.CharField(max_length=500, blank=True, editable=False)
    severities = models.JSONField(default=list, blank=True, help_text="Severities that it takes; empty takes all.")
    send_resolved = models.BooleanField(default=True)
    enabled = models.BooleanField(default=True)
    rate_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Messages at most in rate_seconds; what is more is one digest. Empty: any number.",
    )
    rate_seconds = models.PositiveIntegerField(default=600)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, editable=False, on_delete=models.CASCADE, related_name="means"
    )
    delay_seconds = models.PositiveIntegerField(default=0, editable=False)
    follows = models.CharField(max_length=10, choices=Follows.choices, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = SharedChannels()
    every: ClassVar[models.Manager[Channel]] = models.Manager()

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "name"], nulls_distinct=False, name="channel_name_of_owner")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def listed_name(self) -> str:
        """What its messages are listed under, 100 characters at most. How a person is reached concerns nobody else."""
        return self.name if self.person is None else f"a personal means of {self.person.get_username()}"[:100]

    def takes(self, severity: str) -> bool:
        """Whether messages of this severity come here."""
        return not self.severities or severity in self.severities


class Rule(Owned, JudgedModel, FiledModel):
    """One alerting rule, or with `record` a recording rule. `expr` is PromQL in which
    `$threshold` stands for the tunable number."""

    group = models.ForeignKey(RuleGroup, on_delete=models.PROTECT, related_name="rules")
    position = models.PositiveIntegerField(default=0)
    name = models.CharField(max_length=200, help_text="The label alertname of its alerts, unless another is given.")
    alertname = models.CharField(
        max_length=200, blank=True, help_text="The label alertname of its alerts, where several rules share it."
    )
    record = models.CharField(
        max_length=200, blank=True, help_text="The metric that a recording rule makes; empty for an alerting rule."
    )
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
    external = models.BooleanField(default=False, editable=False, help_text="It stands for alerts that others send.")
    paused_until = models.DateTimeField(null=True, blank=True)
    runbook = models.ForeignKey(Runbook, null=True, blank=True, on_delete=models.SET_NULL, related_name="rules")
    channels = models.ManyToManyField(
        Channel, blank=True, related_name="rules", help_text="Empty: every channel that takes the severity."
    )
    channel_kinds = models.JSONField(
        default=list, blank=True, help_text="While no channel is chosen: only these kinds."
    )
    origin = models.JSONField(
        default=dict,
        blank=True,
        editable=False,
        help_text="What the file that it came from says and the portal has no use for.",
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    health = models.CharField(max_length=10, choices=Health.choices, default=Health.UNKNOWN, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    last_evaluated_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_duration_seconds = models.FloatField(null=True, blank=True, editable=False)
    last_series = models.PositiveIntegerField(
        null=True, blank=True, editable=False, help_text="Series in its last result."
    )
    unmatched = models.JSONField(
        default=list, editable=False, help_text="Its selectors that match no series, each with what is known of it."
    )
    evaluations = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="Slots at which it was evaluated."
    )
    evaluation_failures = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="Those of them at which that failed."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["group__name", "position", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["workspace", "name"], nulls_distinct=False, name="rule_name_of_owner")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def alert_name(self) -> str:
        """The label alertname of its alerts."""
        return self.alertname or self.name

    # What lists read beside it (`alerts.rules.queries`).
    firing_count: int
    pending_count: int
    last_fired_at: dt.datetime | None

    @property
    def all_labels(self) -> dict[str, str]:
        """Its labels over those of its group."""
        return {**self.group.labels, **self.labels} if self.group_id is not None else self.labels

    @property
    def threshold_text(self) -> str:
        """The threshold with its unit, as people write it; empty without a threshold."""
        return self.with_unit(self.threshold)

    def with_unit(self, threshold: float | None) -> str:
        """A threshold of the rule, as people write it; empty for none."""
        return "" if threshold is None else f"{threshold:,g} {self.threshold_unit or self.unit}".rstrip()

    @property
    def is_mistaken(self) -> bool:
        """Whether a selector of it matches nothing though there are such series, or no such metric."""
        return any(one["kind"] != "empty" for one in self.unmatched)

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


class Alert(BoundModel):
    """One episode of one label set of a rule, from its first sample until it resolves.
    All times but the last are slots."""

    rule = models.ForeignKey(Rule, on_delete=models.PROTECT, related_name="alerts")
    fingerprint = models.CharField(max_length=32, help_text="Hash of the labels.")
    labels = models.JSONField()
    state = models.CharField(max_length=10, choices=State.choices)
    value = models.FloatField(help_text="At the last sample.")
    annotations = models.JSONField(default=dict, help_text="Expanded at the last sample.")
    active_at = models.DateTimeField()
    fired_at = models.DateTimeField(null=True, blank=True)
    missing_since = models.DateTimeField(null=True, blank=True, help_text="First miss of an alert that keeps firing.")
    ended_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="When one that others sent ends by itself.")
    correction = models.CharField(
        max_length=200, blank=True, editable=False, help_text="What records that came late have changed."
    )
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
        named = self.labels.get("alertname") if self.rule.external else self.rule.title
        return str(self.annotations.get("summary") or named or self.rule.name)

    @property
    def shown_labels(self) -> dict[str, str]:
        """The labels that tell this alert from its rule's others: without name and severity."""
        return {name: value for name, value in self.labels.items() if name not in ("alertname", "severity")}

    @property
    def fires_at(self) -> dt.datetime:
        """When it fires if its condition holds until then."""
        return self.active_at + dt.timedelta(seconds=self.for_seconds)

    @property
    def threshold_text(self) -> str:
        """The threshold that it is judged by, as people write it; empty without one."""
        return self.rule.with_unit(self.threshold)

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
    """The task of bringing a message about an incident to one channel, with its state.
    `attempts` says how often it was tried.

    `firing` and `resolved` are the ids of the alerts that it tells of; `alert` and `flip` are what it is about first.
    `number` counts the incident's messages.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        SENDING = "sending"
        SENT = "sent"
        FAILED = "failed"
        SKIPPED = "skipped"

    class Why(models.TextChoices):
        FIRST = "first", "the first message of its incident"
        FIRING = "firing", "another alert fires"
        RESOLVED = "resolved", "an alert has ended"
        UNMUTED = "unmuted", "it still fires after it was muted"
        REPEAT = "repeat", "it still fires"
        ESCALATED = "escalated", "nobody has acknowledged it"
        MERGED = "merged", "incidents were merged"

    flip = models.ForeignKey(Flip, on_delete=models.CASCADE, related_name="deliveries")
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(Channel, null=True, on_delete=models.SET_NULL, related_name="deliveries")
    channel_name = models.CharField(max_length=100, help_text="Stays when the channel is gone.")
    incident = models.ForeignKey(Incident, null=True, on_delete=models.CASCADE, related_name="deliveries")
    number = models.PositiveIntegerField(default=0)
    firing = ArrayField(models.BigIntegerField(), default=list)
    resolved = ArrayField(models.BigIntegerField(), default=list)
    why = models.CharField(max_length=10, choices=Why.choices, default=Why.FIRST)
    note = models.TextField(blank=True, help_text="Why it comes to this channel.")
    reference = models.CharField(max_length=100, blank=True, help_text="The other side's name for the message.")
    digest = models.UUIDField(
        null=True, blank=True, help_text="Deliveries of one digest share it: they are one message."
    )
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
            models.UniqueConstraint(fields=["incident", "channel", "number"], name="delivery_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(state__in=["pending", "sending"]), name="delivery_due"
            ),
            models.Index(F("channel"), F("id").desc(), name="delivery_of_channel"),
            models.Index(fields=["channel", "finished_at"], condition=Q(state="sent"), name="delivery_sent"),
            models.Index(F("incident"), F("channel"), F("id").desc(), name="delivery_of_incident"),
            GinIndex(fields=["firing"], name="delivery_firing"),
            GinIndex(fields=["resolved"], name="delivery_resolved"),
        ]

    def __str__(self) -> str:
        return f"{self.channel_name}: {self.state}"

    @property
    def lead_state(self) -> str:
        """Whether what it is about first fires or has ended."""
        return "resolved" if self.alert_id in self.resolved else "firing"


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


def author_fields(by: Actor | None) -> dict[str, Any]:
    """`author` and `author_name` of a history row; None stands for the portal itself."""
    return {"author": user_of(by), "author_name": by.get_username()[:150] if by is not None else "portal"}
