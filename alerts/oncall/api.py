"""Schedules with their rotations, overrides and shifts; escalation policies; one's own means of being notified."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.api.channels import TestResultSerializer
from alerts.models import Channel, Severity
from alerts.notify.channels import send_test
from alerts.notify.transports.contract import ConfigInvalid
from alerts.oncall import means, policies, queries, schedules
from alerts.oncall.models import EscalationPolicy, Override, Rotation, Schedule
from core.api.errors import Conflict
from core.api.owned import OwnedEditable, OwnedSerializer
from core.api.problems import refusals
from core.api.resources import Resource

LONGEST = dt.timedelta(days=366)


class RotationSerializer(serializers.ModelSerializer[Rotation]):
    """People who take turns; a later rotation comes before an earlier one."""

    people = serializers.ListField(
        child=serializers.SlugRelatedField(slug_field="username", queryset=User.objects.filter(is_active=True)),
        max_length=schedules.MAX_PEOPLE,
        help_text="Names of accounts, in turn.",
    )
    weekdays = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=6), required=False, max_length=7, help_text="0: Monday."
    )

    class Meta:
        model = Rotation
        fields = ("id", "people", "first_day", "handover", "shift_days", "weekdays", "begins", "ends")

    def to_representation(self, instance: Rotation) -> dict[str, Any]:
        """People by their names."""
        names = dict(User.objects.filter(pk__in=instance.people).values_list("pk", "username"))
        people = [names[pk] for pk in instance.people if pk in names]
        shown = {name: getattr(instance, name) for name in self.Meta.fields if name not in ("people", "first_day")}
        clocks = {name: at.isoformat() if at else None for name, at in shown.items() if isinstance(at, dt.time)}
        return {**shown, **clocks, "first_day": instance.first_day.isoformat(), "people": people}


class OverrideSerializer(serializers.ModelSerializer[Override]):
    """Somebody else for a while."""

    person: Any = serializers.SlugRelatedField(
        slug_field="username", queryset=User.objects.filter(is_active=True), help_text="Name of an account."
    )

    class Meta:
        model = Override
        fields = ("id", "person", "starts_at", "ends_at")


class ShiftSerializer(serializers.Serializer[Any]):
    """Who is on call from `start` to `end`; nobody where `people` is empty."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    people = serializers.ListField(child=serializers.CharField())


class ScheduleSerializer(OwnedSerializer[Schedule]):
    """Who is on call when. A calendar comes before rotations, overrides before both."""

    calendar = serializers.CharField(
        required=False, allow_blank=True, max_length=300_000, trim_whitespace=False, help_text="iCalendar."
    )
    rotations = RotationSerializer(many=True, read_only=True)
    overrides = OverrideSerializer(many=True, read_only=True)

    class Meta:
        model = Schedule
        validators: ClassVar[list[Any]] = []  # the named writes say what is taken
        fields = ("id", "workspace", "name", "time_zone", "calendar", "rotations", "overrides")
        extra_kwargs: ClassVar[dict[str, Any]] = {"name": {"validators": []}}

    @refusals(schedules.ScheduleError)
    def create(self, validated_data: dict[str, Any]) -> Schedule:
        """Make it."""
        return self._save(Schedule(workspace=validated_data["workspace"]), validated_data)

    @refusals(schedules.ScheduleError)
    def update(self, instance: Schedule, validated_data: dict[str, Any]) -> Schedule:
        """Change it."""
        return self._save(instance, validated_data)

    def _save(self, schedule: Schedule, given: dict[str, Any]) -> Schedule:
        fields = {name: given.get(name, getattr(schedule, name)) for name in ("name", "time_zone", "calendar")}
        return schedules.save_schedule(schedule, **fields)


class IdSerializer(serializers.Serializer[Any]):
    """Which one."""

    id = serializers.IntegerField()


@extend_schema(tags=["on call"])
class Schedules(OwnedEditable[Schedule]):
    """On-call schedules."""

    queryset = Schedule.objects.prefetch_related("rotations", "overrides__person").order_by("name", "id")
    serializer_class = ScheduleSerializer
    lookup_value_regex = r"\d+"
    filterset_fields = ("name",)
    ordering_fields = ("name",)

    def remove(self, instance: Schedule) -> None:
        """Remove it. 409 while an escalation policy names it."""
        try:
            schedules.delete_schedule(instance)
        except schedules.ScheduleError as error:
            raise Conflict(str(error)) from error

    def _answer(self) -> Response:
        return Response(self.get_serializer(self.get_object()).data)

    def _eligible(self, schedule: Schedule, people: list[User]) -> None:
        known = set(schedules.eligible(schedule.workspace).values_list("pk", flat=True))
        if any(person.pk not in known for person in people):
            raise serializers.ValidationError({"people": ["name members of the schedule's workspace"]})

    @extend_schema(request=RotationSerializer, responses=ScheduleSerializer)
    @action(detail=True, methods=["post"], url_path="add-rotation")
    @refusals(schedules.ScheduleError)
    def add_rotation(self, request: Request, pk: str) -> Response:
        """Add a rotation, which comes before the others."""
        schedule, asked = self.get_object(), RotationSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        self._eligible(schedule, given["people"])
        schedules.add_rotation(schedule, given.pop("people"), **given)
        return self._answer()

    @extend_schema(request=IdSerializer, responses=ScheduleSerializer)
    @action(detail=True, methods=["post"], url_path="remove-rotation")
    def remove_rotation(self, request: Request, pk: str) -> Response:
        """Take a rotation out."""
        schedule, asked = self.get_object(), IdSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        schedules.remove_rotation(get_object_or_404(schedule.rotations, pk=asked.validated_data["id"]))
        return self._answer()

    @extend_schema(request=OverrideSerializer, responses=ScheduleSerializer)
    @action(detail=True, methods=["post"])
    @refusals(schedules.ScheduleError)
    def override(self, request: Request, pk: str) -> Response:
        """Put somebody on call for a while."""
        schedule, asked = self.get_object(), OverrideSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        self._eligible(schedule, [given["person"]])
        schedules.add_override(schedule, given["person"], given["starts_at"], given["ends_at"])
        return self._answer()

    @extend_schema(request=IdSerializer, responses=ScheduleSerializer)
    @action(detail=True, methods=["post"], url_path="remove-override")
    def remove_override(self, request: Request, pk: str) -> Response:
        """Take an override back."""
        schedule, asked = self.get_object(), IdSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        schedules.remove_override(get_object_or_404(schedule.overrides, pk=asked.validated_data["id"]))
        return self._answer()

    @extend_schema(request=None, responses=ScheduleSerializer)
    @action(detail=True, methods=["post"], url_path="renew-calendar")
    def renew_calendar(self, request: Request, pk: str) -> Response:
        """Give the calendar that people subscribe to another address."""
        schedules.renew_feed(self.get_object())
        return self._answer()

    @extend_schema(
        parameters=[OpenApiParameter("days", int, description="How far to look ahead, 28 unless said otherwise.")],
        responses=ShiftSerializer(many=True),
        filters=False,
    )
    @action(detail=True, methods=["get"], pagination_class=None)
    def shifts(self, request: Request, pk: str) -> Response:
        """Who is on call from now on; the first shift is that of now."""
        given = request.query_params.get("days", "28")
        days = min(int(given), LONGEST.days) if given.isdecimal() and given.isascii() and len(given) < 6 else 28
        schedule, now, people = self.get_object(), timezone.now(), queries.accounts()
        found = queries.shifts_of(schedule, people, now, now + dt.timedelta(days=max(days, 1)))
        return Response(
            [
                {"start": one.start, "end": one.end, "people": [people[pk].get_username() for pk in one.people]}
                for one in found
            ]
        )


class EscalationStepSerializer(serializers.Serializer[Any]):
    """One step of a policy."""

    delay_seconds = serializers.IntegerField(
        min_value=0, max_value=policies.LONGEST, default=0, help_text="After the step before it."
    )
    severities = serializers.ListField(
        child=serializers.ChoiceField(choices=Severity.choices), required=False, default=list, max_length=3
    )
    targets = serializers.ListField(
        child=serializers.RegexField(r"^(schedule|person|channel):[0-9]{1,18}$"),
        max_length=policies.MAX_TARGETS,
        help_text="`schedule:1`, `person:2`, `channel:3`.",
    )


class PolicySerializer(OwnedSerializer[EscalationPolicy]):
    """Steps that are taken one after the other until somebody acknowledges."""

    steps = EscalationStepSerializer(many=True)

    class Meta:
        model = EscalationPolicy
        validators: ClassVar[list[Any]] = []
        fields = (
            "id",
            "workspace",
            "name",
            "steps",
            "repeats",
            "repeat_seconds",
            "acknowledged_for_seconds",
            "without_tree",
        )
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "name": {"validators": []},
            "repeats": {"max_value": policies.MAX_REPEATS},
            "repeat_seconds": {"min_value": policies.SHORTEST_REPEAT, "max_value": policies.LONGEST},
            "acknowledged_for_seconds": {"max_value": policies.LONGEST},
        }

    @refusals(policies.PolicyError)
    def create(self, validated_data: dict[str, Any]) -> EscalationPolicy:
        """Make it."""
        given = {**validated_data}
        return policies.save_policy(EscalationPolicy(workspace=given.pop("workspace")), given)

    @refusals(policies.PolicyError)
    def update(self, instance: EscalationPolicy, validated_data: dict[str, Any]) -> EscalationPolicy:
        """Change it."""
        return policies.save_policy(instance, validated_data)


@extend_schema(tags=["on call"])
class EscalationPolicies(OwnedEditable[EscalationPolicy]):
    """Escalation policies."""

    queryset = EscalationPolicy.objects.order_by("name", "id")
    serializer_class = PolicySerializer
    lookup_value_regex = r"\d+"
    filterset_fields = ("name",)
    ordering_fields = ("name",)

    def remove(self, instance: EscalationPolicy) -> None:
        """Remove it; incidents that escalate go on by the steps that they began with. 409 while routing names it."""
        try:
            policies.delete_policy(instance)
        except policies.PolicyError as error:
            raise Conflict(str(error)) from error


class MeansSerializer(serializers.ModelSerializer[Channel]):
    """A channel of one's own. `config` depends on the kind and is never shown again."""

    config = serializers.DictField(child=serializers.CharField(allow_blank=True, max_length=10_000), write_only=True)
    severities = serializers.ListField(
        child=serializers.ChoiceField(choices=Severity.choices), required=False, max_length=3
    )
    delay_seconds = serializers.IntegerField(
        min_value=0, max_value=means.LONGEST_DELAY, default=0, help_text="After the escalation's step."
    )

    class Meta:
        model = Channel
        fields = ("id", "kind", "config", "target", "severities", "delay_seconds", "rate_limit", "rate_seconds")
        read_only_fields = ("target",)

    @refusals(ConfigInvalid)
    def create(self, validated_data: dict[str, Any]) -> Channel:
        """Add it for who asks."""
        given = {**validated_data}
        return means.add_means(given.pop("person"), given.pop("kind"), given.pop("config"), **given)


@extend_schema(tags=["on call"])
class Means(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.DestroyModelMixin,
    Resource[Channel],
):
    """How the person who asks is notified when an escalation comes to them; a key is nobody."""

    queryset = means.own_means().order_by("delay_seconds", "id")
    serializer_class = MeansSerializer
    writers = "members"
    filter_backends = ()
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[Channel]:
        """One's own."""
        person = self.actor
        return super().get_queryset().filter(person=person.pk) if isinstance(person, User) else Channel.every.none()

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Add one for oneself."""
        if not isinstance(self.actor, User):
            raise PermissionDenied("A key is nobody's: log in.")
        return super().create(request, *args, **kwargs)

    def perform_create(self, serializer: Any) -> None:
        """Add it."""
        serializer.save(person=self.actor)

    def perform_destroy(self, instance: Channel) -> None:
        """Take it away."""
        means.remove_means(instance)

    @extend_schema(request=None, responses=TestResultSerializer)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Send a test message now and say what happened."""
        return Response(TestResultSerializer(send_test(self.get_object(), now=timezone.now())).data)
