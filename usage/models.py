"""The tables of records, series, keys and prices.

Tables that grow with time (`managed = False`) are partitioned by time; migration 0002 makes them,
`usage.store.partitions` their partitions. Their `id` is for the admin's lists only.
"""

from __future__ import annotations

import fnmatch
import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from core.accounts.models import ApiKey, Owned, Workspace
from usage.catalog.grains import COARSE, FINE, MIDDLE
from usage.marks.models import Mark
from usage.relabelling.models import LabelRule

__all__ = ["LabelRule", "Mark"]


class Dimension(models.Model):
    """An interned label set of a kind. `digest` stands for kind and labels, which may be longer than an index entry."""

    kind = models.CharField(max_length=30)
    labels = models.JSONField()
    digest = models.BinaryField(max_length=16, unique=True)
    first_at = models.DateTimeField(help_text="Earliest bucket with a record: where its counters start from 0.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["kind"], name="dimension_of_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.labels}"


class Record(models.Model):
    """A record as it arrived. Partitioned by day of `at`."""

    id = models.BigIntegerField(primary_key=True)
    event_id = models.UUIDField()
    at = models.DateTimeField()
    received_at = models.DateTimeField()
    receipt = models.UUIDField()
    workspace = models.ForeignKey(
        Workspace, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="+"
    )
    key = models.ForeignKey(ApiKey, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="+")
    dimension = models.ForeignKey(Dimension, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    trace_id = models.TextField()
    span_id = models.TextField()
    prompt_tokens = models.BigIntegerField(null=True)
    completion_tokens = models.BigIntegerField(null=True)
    cached_tokens = models.BigIntegerField(null=True)
    reasoning_tokens = models.BigIntegerField(null=True)
    cost_usd = models.FloatField(null=True)
    price_source = models.TextField(
        help_text="client, operator:<id>, genai-prices:<provider>/<model>; empty: no price is known."
    )
    duration_seconds = models.FloatField(null=True)
    rate_limit_delay_seconds = models.FloatField(null=True)
    value = models.FloatField(null=True)
    attributes = models.JSONField(null=True)
    overflow = models.JSONField(null=True, help_text="The record's own labels, where its dimension is an overflow one.")

    class Meta:
        managed = False
        db_table = "usage_record"

    def __str__(self) -> str:
        return str(self.event_id)


class Rollup(models.Model):
    """Measures of a dimension in a bucket of time, laid out by `usage.catalog.KINDS`.
    Buckets are named by their start."""

    id = models.BigIntegerField(primary_key=True)
    bucket = models.DateTimeField()
    dimension = models.ForeignKey(Dimension, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    measures = ArrayField(models.FloatField())

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.bucket:%F %T} {self.dimension_id}"


class Rollup15s(Rollup):
    """Every 15 seconds; partitioned by day."""

    class Meta:
        managed = False
        db_table = FINE.table


class Rollup5m(Rollup):
    """Every 5 minutes; partitioned by day."""

    class Meta:
        managed = False
        db_table = MIDDLE.table


class Rollup1h(Rollup):
    """Every hour; partitioned by month."""

    class Meta:
        managed = False
        db_table = COARSE.table


class Total(models.Model):
    """A dimension's sums since the portal's first record, so that exported counters never go back."""

    dimension = models.OneToOneField(Dimension, on_delete=models.CASCADE, primary_key=True, related_name="total")
    measures = ArrayField(models.FloatField())

    def __str__(self) -> str:
        return str(self.dimension_id)


class GaugeSample(models.Model):
    """The last value of a gauge in a bucket of 15 seconds. Partitioned by day."""

    id = models.BigIntegerField(primary_key=True)
    bucket = models.DateTimeField()
    dimension = models.ForeignKey(Dimension, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    at = models.DateTimeField()
    value = models.FloatField()

    class Meta:
        managed = False
        db_table = "usage_gauge_sample"

    def __str__(self) -> str:
        return f"{self.dimension_id} {self.value}"


class DirtyBucket(models.Model):
    """A 5-minute bucket whose coarser grains are to be computed again; `claimed` once a task has begun to."""

    bucket = models.DateTimeField()
    claimed = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["bucket", "claimed"], name="dirty_bucket_once")]

    def __str__(self) -> str:
        return f"{self.bucket:%F %T}"


class LateArrival(models.Model):
    """Records of a kind that came after slots of rules were evaluated which they belong to: the time of the first of a
    batch (see usage.store.late)."""

    workspace_id = models.BigIntegerField()
    kind = models.CharField(max_length=40)
    first_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} since {self.first_at}"


class Watermark(models.Model):
    """What every storing transaction agrees on (one row): see `usage.store.watermark`."""

    generation = models.IntegerField(default=0, help_text="Where new event ids go.")
    generation_at = models.DateTimeField(default=timezone.now)
    floor_15s = models.DateTimeField(help_text="15 s rollups exist from here on.")
    floor_5m = models.DateTimeField(help_text="5 min rollups exist from here on.")
    floor_1h = models.DateTimeField(help_text="1 h rollups exist from here on.")

    def __str__(self) -> str:
        return f"generation {self.generation}"


class Receipt(models.Model):
    """The answer to a batch. Partitioned by day of `received_at`."""

    STATES = (("stored", "stored"), ("spooled", "spooled"), ("dead", "dead letter"))
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    received_at = models.DateTimeField()
    key = models.ForeignKey(ApiKey, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="+")
    workspace = models.ForeignKey(
        Workspace, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="+"
    )
    state = models.TextField(choices=STATES)
    accepted = models.IntegerField()
    duplicates = models.IntegerField()
    rejected = models.IntegerField()
    reasons = models.JSONField(help_text="The first refused records (index, field, error), and notes (note).")
    body_bytes = models.IntegerField()
    seconds = models.FloatField(help_text="From receipt to the commit.")
    stored_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "usage_receipt"
        ordering = ["-received_at"]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def total(self) -> int:
        """Records of the batch."""
        return self.accepted + self.duplicates + self.rejected

    @property
    def refusals(self) -> list[dict[str, object]]:
        """The first refused records: index, field, error."""
        return [one for one in self.reasons if "note" not in one]

    @property
    def notes(self) -> list[str]:
        """What else is to be known of the batch."""
        return [str(one["note"]) for one in self.reasons if "note" in one]


class DeadLetter(models.Model):
    """A batch that could not be stored for a reason that trying again does not mend. An
    operator looks and replays it."""

    receipt = models.UUIDField(unique=True)
    key = models.ForeignKey(ApiKey, on_delete=models.SET_NULL, null=True, related_name="+")
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, null=True, related_name="+")
    received_at = models.DateTimeField()
    records = models.PositiveIntegerField()
    body = models.BinaryField(help_text="The batch as it lay in the spool.")
    error = models.TextField()
    attempts = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now)
    replayed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.records} records: {self.error[:80]}"


class MissingUsage(models.Model):
    """Usage events of a batch that was accepted and is not stored, counted as failures (see `usage.store.missing`)."""

    receipt = models.UUIDField()
    dimension_id = models.BigIntegerField(help_text="0: the batch itself, which says that it is counted.")
    bucket = models.DateTimeField()
    number = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["receipt", "dimension_id", "bucket"], name="missing_once"),
            models.UniqueConstraint(fields=["receipt"], condition=models.Q(dimension_id=0), name="batch_missing_once"),
        ]

    def __str__(self) -> str:
        return f"{self.number:g} of {self.receipt}"


class Price(models.Model):
    """An operator's price, before the library's. `model` may hold `*`. Per million tokens, in USD."""

    provider = models.CharField(max_length=200, help_text="As in the records; * for any.")
    model = models.CharField(max_length=200, help_text="As in the records; may hold *.")
    input_usd = models.FloatField(verbose_name="input, USD per million tokens")
    output_usd = models.FloatField(verbose_name="output, USD per million tokens")
    cached_usd = models.FloatField(verbose_name="cached input, USD per million tokens", null=True, blank=True)
    valid_from = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["provider", "model", "-valid_from"]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"

    def covers(self, provider: str, model: str) -> bool:
        """Whether this price is meant for the model."""
        return fnmatch.fnmatchcase(provider, self.provider) and fnmatch.fnmatchcase(model, self.model)


class Budget(Owned):
    """What a team may spend in a period; feeds team_spend_usd and budget_limit."""

    PERIODS = (("day", "day"), ("week", "week"), ("month", "month"))
    team = models.CharField(max_length=200)
    limit_usd = models.FloatField(verbose_name="limit, USD")
    period = models.CharField(max_length=10, choices=PERIODS, default="month")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["team"]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "team"], nulls_distinct=False, name="budget_of_team_of_owner")
        ]

    def __str__(self) -> str:
        return f"{self.team}: {self.limit_usd:g} USD per {self.period}"


class DemoTraffic(models.Model):
    """Invented traffic (one row at most): until when it runs, and up to when its records were sent."""

    started_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    sent_until = models.DateTimeField()

    class Meta:
        verbose_name_plural = "demo traffic"

    def __str__(self) -> str:
        return f"until {self.ends_at:%F %T}"
