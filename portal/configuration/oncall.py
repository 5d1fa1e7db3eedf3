"""On-call schedules and escalation policies as files have them: rotations within their schedule, and targets of steps
by name. Overrides are made from day to day and stay out of files."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db.models import F, Q, QuerySet
from rest_framework import serializers

from alerts.models import Channel
from alerts.oncall import schedules
from alerts.oncall.api import EscalationStepSerializer, PolicySerializer, RotationSerializer, ScheduleSerializer
from alerts.oncall.models import Rotation, Schedule
from core.accounts.models import Workspace
from core.api.owned import OwnedSerializer
from core.pg.text import storable


def owner_of(field: serializers.Field[Any, Any, Any, Any]) -> Workspace | None:
    """Whose the object is that the field belongs to."""
    return field.root.owner() if isinstance(field.root, OwnedSerializer) else None


class FileRotationSerializer(RotationSerializer):
    """A rotation without an id."""

    class Meta(RotationSerializer.Meta):
        fields = tuple(name for name in RotationSerializer.Meta.fields if name != "id")  # type: ignore[assignment]

    def to_internal_value(self, data: Any) -> Any:
        """A rotation that is not stored yet, of people who can be on call."""
        given = super().to_internal_value(data)
        people = [person.pk for person in given.pop("people")]
        if len(people) > schedules.eligible(owner_of(self)).filter(pk__in=people).count():
            raise serializers.ValidationError({"people": ["name members of the schedule's workspace"]})
        return Rotation(people=people, **given)


class FileScheduleSerializer(ScheduleSerializer):
    """A schedule with its rotations, the last of which comes first."""

    rotations = FileRotationSerializer(many=True, required=False)

    def _save(self, schedule: Schedule, given: dict[str, Any]) -> Schedule:
        saved = super()._save(schedule, given)
        if "rotations" in given:
            schedules.set_rotations(saved, given["rotations"])
        return saved


class TargetName(serializers.CharField):
    """`schedule:its name`, `person:name of the account` or `channel:its name`; the owner's own comes before the
    portal's."""

    def to_internal_value(self, data: Any) -> str:
        """The target by its id."""
        kind, _, name = storable(super().to_internal_value(data)).partition(":")
        owner = owner_of(self)
        found: QuerySet[Any]
        if kind == "person":
            found = User.objects.filter(username=name)
        elif kind in ("schedule", "channel"):
            things = Schedule.objects.all() if kind == "schedule" else Channel.objects.all()
            usable = things.filter(Q(workspace=owner) | Q(workspace=None), name=name)
            found = usable.order_by(F("workspace").asc(nulls_last=True))
        else:
            raise serializers.ValidationError("write schedule:…, person:… or channel:… with a name")
        pk = found.values_list("pk", flat=True).first()
        if pk is None:
            raise serializers.ValidationError(f"there is no {kind} {name!r}")
        return f"{kind}:{pk}"

    def to_representation(self, value: str) -> str:
        """By its name; by its id where it is gone."""
        kind, _, pk = value.partition(":")
        named: dict[str, QuerySet[Any, str]] = {
            "person": User.objects.values_list("username", flat=True),
            "schedule": Schedule.objects.values_list("name", flat=True),
            "channel": Channel.objects.values_list("name", flat=True),
        }
        name = named[kind].filter(pk=pk).first()
        return f"{kind}:{name or pk}"


class FileStepSerializer(EscalationStepSerializer):
    """A step whose targets have names."""

    targets = serializers.ListField(child=TargetName(max_length=300))


class FilePolicySerializer(PolicySerializer):
    """A policy of such steps."""

    steps = FileStepSerializer(many=True)
