"""Silences that come again every week."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.incidents.access import require_silence, visible_silences
from alerts.incidents.silences import SilenceError
from alerts.routing.matchers import MatcherError, Matchers, parse_matchers, written
from alerts.silencing.models import RecurringSilence
from alerts.silencing.recurring import (
    add_recurring,
    make_weekly,
    matchers_of,
    next_windows,
    remove_recurring,
    visible_recurring,
    weekly_of,
)
from core.accounts.ownership import changer_of
from core.api.resources import Resource


class WindowSerializer(serializers.Serializer[Any]):
    """From when to when it holds."""

    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()


@extend_schema_field({"type": "string", "pattern": r"^\d\d:\d\d(:\d\d(\.\d+)?)?$", "example": "22:00"})
class ClockField(serializers.TimeField):
    """A time of day without a zone, which OpenAPI's format `time` is not."""


class RecurringSilenceSerializer(serializers.ModelSerializer[RecurringSilence]):
    """Alerts that match all of `matchers` are not notified on `weekdays` (0: Monday) from `begins` to `ends`, on the
    clocks of `time_zone`; over midnight where `ends` is not later."""

    matchers = serializers.CharField(max_length=4000, help_text='As in Alertmanager: alertname="Slow", job=~"n.*".')
    weekdays = serializers.ListField(child=serializers.IntegerField(min_value=0, max_value=6), max_length=7)
    comment = serializers.CharField(max_length=2000, allow_blank=True, required=False, default="")
    begins = ClockField()
    ends = ClockField()
    windows = serializers.SerializerMethodField(help_text="The next ones.")

    class Meta:
        model = RecurringSilence
        fields = (
            "id",
            "matchers",
            "weekdays",
            "begins",
            "ends",
            "time_zone",
            "last_day",
            "comment",
            "created_by",
            "created_at",
            "windows",
        )
        read_only_fields = ("created_by", "created_at")

    @extend_schema_field(WindowSerializer(many=True))
    def get_windows(self, recurring: RecurringSilence) -> Any:
        """At most five."""
        found = next_windows(weekly_of(recurring), timezone.now())
        return WindowSerializer([{"starts_at": start, "ends_at": end} for start, end in found], many=True).data

    def validate_matchers(self, text: str) -> Matchers:
        """Parsed."""
        try:
            return parse_matchers(text)
        except MatcherError as error:
            raise ValidationError(str(error)) from error

    def to_representation(self, instance: RecurringSilence) -> dict[str, Any]:
        """Matchers as Alertmanager prints them."""
        return {**super().to_representation(instance), "matchers": written(matchers_of(instance))}


@extend_schema(tags=["alerts"])
class RecurringSilences(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.DestroyModelMixin,
    Resource[RecurringSilence],
):
    """Silences of every week, those of the caller's workspaces and of all alerts. Each window is a silence of its own,
    which is there before the last one ends."""

    queryset = RecurringSilence.objects.all()
    serializer_class = RecurringSilenceSerializer
    is_scoped = True
    filter_backends = ()
    lookup_value_regex = r"\d+"

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The oldest first."""
        found: Any = visible_recurring(self.slugs)
        return self.get_paginated_response(self.get_serializer(self.paginate_queryset(found), many=True).data)

    def get_object(self) -> RecurringSilence:
        """One that the caller sees. Raises Http404."""
        found = super().get_object()
        if not visible_silences([found], self.slugs):
            raise Http404("No such silence.")
        return found

    def perform_create(self, serializer: Any) -> None:
        """Make it, for who may silence what it matches."""
        given = serializer.validated_data
        require_silence(changer_of(self.actor), given["matchers"])
        try:
            weekly = make_weekly(
                given["weekdays"], given["begins"], given["ends"], given.get("time_zone", "UTC"), given.get("last_day")
            )
            serializer.instance = add_recurring(
                given["matchers"], weekly, comment=given["comment"], by=self.actor, now=timezone.now()
            )
        except SilenceError as error:
            raise ValidationError(str(error)) from error

    def perform_destroy(self, instance: RecurringSilence) -> None:
        """End it for good, also the silence of now."""
        require_silence(changer_of(self.actor), matchers_of(instance))
        remove_recurring(instance, by=self.actor, now=timezone.now())
