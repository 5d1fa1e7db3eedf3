"""Alerts, their flips, and the deliveries of these."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.models import Alert, Delivery, DeliveryAttempt, Flip, Severity, State
from alerts.notify.acknowledge import acknowledge, may_acknowledge, unacknowledge
from alerts.notify.retry import send_again
from alerts.queries import seen_by
from core.accounts.ownership import changer_of, owned
from core.api.errors import Conflict
from core.api.fields import SampleValue, Texts
from core.api.filters import Filters
from core.api.resources import Growing


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """One label set of a rule, from its first sample until it resolves."""

    rule = serializers.CharField(source="rule.name", read_only=True)
    rule_id = serializers.IntegerField(read_only=True)
    shadow = serializers.BooleanField(
        source="rule.shadow", read_only=True, help_text="Its rule is only a shadow: nobody is notified."
    )
    severity = serializers.ChoiceField(choices=Severity.choices, read_only=True)
    title = serializers.CharField(read_only=True)
    labels = Texts(read_only=True)
    annotations = Texts(read_only=True)
    value = SampleValue(read_only=True)
    acknowledged_by: Any = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = Alert
        fields = (
            "id",
            "rule",
            "rule_id",
            "severity",
            "shadow",
            "title",
            "state",
            "labels",
            "annotations",
            "value",
            "active_at",
            "fired_at",
            "ended_at",
            "correction",
            "acknowledged_by",
            "acknowledged_at",
        )
        read_only_fields = fields


class AlertFilter(Filters):
    """Which alerts."""

    state = django_filters.ChoiceFilter(choices=State.choices)
    rule = django_filters.CharFilter("rule__name")
    severity = django_filters.ChoiceFilter(choices=Severity.choices)
    fired = django_filters.BooleanFilter("fired_at", lookup_expr="isnull", exclude=True)
    acknowledged = django_filters.BooleanFilter("acknowledged_at", lookup_expr="isnull", exclude=True)
    active_after = django_filters.IsoDateTimeFilter("active_at", lookup_expr="gte")
    active_before = django_filters.IsoDateTimeFilter("active_at", lookup_expr="lt")


@extend_schema(tags=["alerts"])
class AlertEpisodes(mixins.RetrieveModelMixin, Growing[Alert]):
    """Alerts of now and before, the newest first; those that name another workspace are not seen."""

    queryset = Alert.objects.select_related("rule", "acknowledged_by")
    serializer_class = AlertSerializer
    is_scoped = True
    lookup_value_regex = r"\d+"
    filterset_class = AlertFilter

    def get_queryset(self) -> QuerySet[Alert]:
        """Those that the caller sees."""
        return super().get_queryset().filter(seen_by(self.slugs))

    def require_operator(self, alert: Alert) -> None:
        """Raises PermissionDenied."""
        if not may_acknowledge(self.actor, alert):
            raise PermissionDenied("This needs an operator of the alert's workspace.")

    @extend_schema(request=None, responses=AlertSerializer)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, pk: str) -> Response:
        """Acknowledge the alert. 409 when somebody else has, or when it is over."""
        alert = self.get_object()
        self.require_operator(alert)
        if not acknowledge(alert, by=self.actor, now=timezone.now()):
            raise Conflict("It was taken by somebody else, or it is over.")
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None, responses=AlertSerializer)
    @action(detail=True, methods=["post"], url_path="give-back")
    def give_back(self, request: Request, pk: str) -> Response:
        """Undo an acknowledgement."""
        alert = self.get_object()
        self.require_operator(alert)
        unacknowledge(alert)
        return Response(self.get_serializer(self.get_object()).data)


class FlipSerializer(serializers.ModelSerializer[Flip]):
    """One change of an alert's state."""

    alert = serializers.IntegerField(source="alert_id", read_only=True)
    rule = serializers.CharField(source="alert.rule.name", read_only=True)
    value = SampleValue(read_only=True)
    threshold = SampleValue(read_only=True)

    class Meta:
        model = Flip
        fields = ("id", "alert", "rule", "from_state", "to_state", "at", "value", "threshold", "created_at")
        read_only_fields = fields


class FlipFilter(Filters):
    """Which flips."""

    alert = django_filters.NumberFilter("alert_id")
    rule = django_filters.CharFilter("alert__rule__name")
    to_state = django_filters.ChoiceFilter(choices=State.choices)
    at_after = django_filters.IsoDateTimeFilter("at", lookup_expr="gte")
    at_before = django_filters.IsoDateTimeFilter("at", lookup_expr="lt")


def seen_alerts(slugs: frozenset[str] | None) -> QuerySet[Alert]:
    """The alerts of a reader of these workspaces."""
    return Alert.objects.filter(seen_by(slugs))


@extend_schema(tags=["alerts"])
class Flips(mixins.RetrieveModelMixin, Growing[Flip]):
    """Changes of the alerts' states, the newest first."""

    queryset = Flip.objects.select_related("alert__rule")
    serializer_class = FlipSerializer
    is_scoped = True
    lookup_value_regex = r"\d+"
    filterset_class = FlipFilter

    def get_queryset(self) -> QuerySet[Flip]:
        """Of the alerts that the caller sees."""
        return super().get_queryset().filter(alert__in=seen_alerts(self.slugs))


class AttemptSerializer(serializers.ModelSerializer[DeliveryAttempt]):
    """One try to send."""

    class Meta:
        model = DeliveryAttempt
        fields = ("number", "at", "duration_seconds", "ok", "reply", "error")
        read_only_fields = fields


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One flip on its way to one channel."""

    flip = serializers.IntegerField(source="flip_id", read_only=True)
    alert = serializers.IntegerField(source="alert_id", read_only=True)
    channel = serializers.CharField(source="channel_name", read_only=True)
    tries = AttemptSerializer(many=True, read_only=True)

    class Meta:
        model = Delivery
        fields = (
            "id",
            "flip",
            "alert",
            "channel",
            "state",
            "attempts",
            "created_at",
            "next_attempt_at",
            "finished_at",
            "tries",
        )
        read_only_fields = fields


class DeliveryFilter(Filters):
    """Which deliveries."""

    state = django_filters.ChoiceFilter(choices=Delivery.State.choices)
    channel = django_filters.CharFilter("channel_name")
    alert = django_filters.NumberFilter("alert_id")
    flip = django_filters.NumberFilter("flip_id")


@extend_schema(tags=["alerts"])
class Deliveries(mixins.RetrieveModelMixin, Growing[Delivery]):
    """Messages with their attempts, the newest first."""

    queryset = Delivery.objects.select_related("channel").prefetch_related(
        Prefetch("tries", DeliveryAttempt.objects.order_by("number"))
    )
    serializer_class = DeliverySerializer
    is_scoped = True
    lookup_value_regex = r"\d+"
    filterset_class = DeliveryFilter

    def get_queryset(self) -> QuerySet[Delivery]:
        """Of the alerts that the caller sees, by channels of theirs and of the portal."""
        of_seen = owned(self.slugs, "channel__workspace")
        return super().get_queryset().filter(of_seen, alert__in=seen_alerts(self.slugs))

    @extend_schema(request=None, responses=DeliverySerializer)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Send again what failed. 409 for what did not."""
        delivery = self.get_object()
        if delivery.channel is not None and not changer_of(self.actor).may(delivery.channel.workspace_id):
            raise PermissionDenied("This needs an operator of the channel's workspace.")
        if not send_again(delivery, timezone.now()):
            raise Conflict("Only what failed can be sent again, to a channel that is still there.")
        return Response(self.get_serializer(self.get_object()).data)
