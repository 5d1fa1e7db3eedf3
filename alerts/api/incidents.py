"""Incidents and what people do with them; silences; the routing in force."""

from __future__ import annotations

import datetime as dt
from typing import Any

import django_filters
from django.db.models import Prefetch, QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.incidents import actions, queries, silences
from alerts.incidents.access import require_silence, visible_silences
from alerts.incidents.merge import merge, separate
from alerts.incidents.mixed import colleagues, hide_others, marked, may_act_on, seen_events
from alerts.incidents.models import Incident, IncidentEvent, Silence
from alerts.incidents.muting import matchers_of
from alerts.incidents.resolve import MAX_OUTCOME, resolve
from alerts.incidents.write_up import steps_of
from alerts.models import Severity
from alerts.notify.acknowledge import may_acknowledge
from alerts.oncall.schedules import eligible
from alerts.queries import runbook_detail
from alerts.routing.matchers import MatcherError, Matchers, parse_matchers, written
from core.accounts.holder import user_of
from core.accounts.models import Workspace
from core.accounts.ownership import all_or, changer_of
from core.api.errors import Conflict
from core.api.fields import Texts
from core.api.filters import Filters
from core.api.resources import Growing, Resource

MAX_SNOOZE_SECONDS = int(actions.MAX_SNOOZE.total_seconds())


class EventSerializer(serializers.ModelSerializer[IncidentEvent]):
    """What a person did with an incident."""

    class Meta:
        model = IncidentEvent
        fields = ("kind", "at", "author_name", "text")
        read_only_fields = fields


class IncidentSerializer(serializers.ModelSerializer[Incident]):
    """Alerts that are notified together."""

    key = serializers.SerializerMethodField(
        help_text="The place in the routing and the group's labels; empty for who does not see every workspace."
    )
    group_labels = Texts(read_only=True)
    acknowledged_by: Any = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    owner: Any = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    resolved_by: Any = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    events = serializers.SerializerMethodField()

    class Meta:
        model = Incident
        fields = (
            "id",
            "key",
            "receiver",
            "group_labels",
            "opened_at",
            "closed_at",
            "notifications",
            "acknowledged_by",
            "acknowledged_at",
            "acknowledged_until",
            "snoozed_until",
            "raised_to",
            "owner",
            "resolved_by",
            "resolved_at",
            "outcome",
            "merged_into",
            "events",
        )
        read_only_fields = fields

    def get_key(self, incident: Incident) -> str:
        """Its route's matchers may name workspaces."""
        return incident.key if self.context["sees_all"] else ""

    @extend_schema_field(EventSerializer(many=True))
    def get_events(self, incident: Incident) -> Any:
        """What the caller may see of it."""
        return EventSerializer(seen_events(incident, incident.events.all(), self.context["colleagues"]), many=True).data

    def to_representation(self, instance: Incident) -> dict[str, Any]:
        """Without people whom the caller may not see."""
        hide_others(instance, self.context["colleagues"])
        return super().to_representation(instance)


class IncidentFilter(Filters):
    """Which incidents."""

    closed = django_filters.BooleanFilter("closed_at", lookup_expr="isnull", exclude=True)
    receiver = django_filters.CharFilter()


class SnoozeSerializer(serializers.Serializer[Any]):
    """For how long."""

    seconds = serializers.IntegerField(min_value=1, max_value=MAX_SNOOZE_SECONDS)


class ResolveSerializer(serializers.Serializer[Any]):
    """How it ended."""

    outcome = serializers.CharField(max_length=MAX_OUTCOME, allow_blank=True, required=False, default="")


class MergeSerializer(serializers.Serializer[Any]):
    """Which incident goes on."""

    into = serializers.IntegerField(min_value=1, max_value=2**62)


class OwnerSerializer(serializers.Serializer[Any]):
    """Who answers for it."""

    owner = serializers.CharField(max_length=150, allow_null=True, help_text="Name of an account; null: nobody.")


class SeveritySerializer(serializers.Serializer[Any]):
    """What it is raised to."""

    severity = serializers.ChoiceField(choices=Severity.choices)


class TickSerializer(serializers.Serializer[Any]):
    """A step of the runbook, by its text."""

    step = serializers.CharField(max_length=300)
    done = serializers.BooleanField(default=True)


class CommentSerializer(serializers.Serializer[Any]):
    """What to write down."""

    text = serializers.CharField(max_length=actions.MAX_COMMENT)


@extend_schema(tags=["alerts"])
class Incidents(mixins.RetrieveModelMixin, Growing[Incident]):
    """Incidents, the newest first."""

    queryset = Incident.objects.select_related("acknowledged_by", "owner", "resolved_by").prefetch_related(
        Prefetch("events", IncidentEvent.objects.order_by("at", "id"))
    )
    serializer_class = IncidentSerializer
    is_scoped = True
    lookup_value_regex = r"\d+"
    filterset_class = IncidentFilter

    def get_queryset(self) -> QuerySet[Incident]:
        """Those with an alert that the caller sees."""
        found = super().get_queryset().filter(pk__in=queries.visible_incidents(self.slugs).values("pk"))
        return marked(found, self.slugs)

    def get_serializer_context(self) -> dict[str, Any]:
        """With the caller's colleagues, and whether they see every workspace."""
        slugs = self.slugs
        reader = {"colleagues": colleagues(slugs), "sees_all": all_or(slugs) is None}
        return {**super().get_serializer_context(), **reader}

    def to_write(self) -> Incident:
        """The incident, for an operator of its first alert's workspace. Raises PermissionDenied."""
        incident = self.get_object()
        if not may_acknowledge(self.actor, queries.incident_row(incident, self.slugs).lead):
            raise PermissionDenied("This needs an operator of the alert's workspace.")
        return incident

    def to_change(self) -> Incident:
        """The incident, for who operates the workspaces of all its alerts. Raises PermissionDenied."""
        return self._required(self.to_write())

    def _required(self, incident: Incident) -> Incident:
        if not may_act_on(self.actor, incident):
            raise PermissionDenied("It has alerts of workspaces that you do not operate: this would hold for them too.")
        return incident

    def _answer(self, done: bool = True) -> Response:
        if not done:
            raise Conflict("It is over, or somebody else was first.")
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, pk: str) -> Response:
        """Take it: it is not repeated any more. 409 when somebody else has it, or it is over."""
        return self._answer(actions.acknowledge(self.to_change(), by=self.actor, now=timezone.now()))

    @extend_schema(request=None, responses=IncidentSerializer)
    @action(detail=True, methods=["post"], url_path="give-back")
    def give_back(self, request: Request, pk: str) -> Response:
        """Give it back. 409 when nobody has it, or it is over."""
        return self._answer(actions.unacknowledge(self.to_change(), by=self.actor, now=timezone.now()))

    @extend_schema(request=SnoozeSerializer, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def snooze(self, request: Request, pk: str) -> Response:
        """Be quiet about it for a while. 409 when it is over."""
        incident, asked = self.to_change(), SnoozeSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        span = dt.timedelta(seconds=asked.validated_data["seconds"])
        return self._answer(actions.snooze(incident, span, by=self.actor, now=timezone.now()))

    @extend_schema(request=ResolveSerializer, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, pk: str) -> Response:
        """Close it; what still fires an hour later opens another one. 409 when it is over."""
        incident, asked = self.to_change(), ResolveSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        done = resolve(incident, asked.validated_data["outcome"], by=self.actor, now=timezone.now())
        return self._answer(done)

    @extend_schema(request=MergeSerializer, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def merge(self, request: Request, pk: str) -> Response:
        """Let another incident go on with its alerts, and with what comes of its group later. 409 when one of both is
        over."""
        incident, asked = self.to_change(), MergeSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        target = self.get_queryset().filter(pk=asked.validated_data["into"]).first()
        if target is None or target.pk == incident.pk:
            raise ValidationError({"into": ["is no other incident that you see"]})
        return self._answer(merge(incident, self._required(target), by=self.actor, now=timezone.now()))

    @extend_schema(request=None, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def separate(self, request: Request, pk: str) -> Response:
        """Undo its being merged. 409 when it is merged into none, or that one is over."""
        return self._answer(separate(self.to_change(), by=self.actor, now=timezone.now()))

    @extend_schema(request=OwnerSerializer, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def owner(self, request: Request, pk: str) -> Response:
        """Say who answers for it: somebody who can see it."""
        incident, asked = self.to_change(), OwnerSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        name = asked.validated_data["owner"]
        slug = queries.incident_row(incident, self.slugs).lead.labels.get("workspace")
        workspace = Workspace.objects.filter(slug=slug).first() if slug else None
        person = eligible(workspace).filter(username=name).first() if name else None
        if name and person is None:
            raise ValidationError({"owner": ["is nobody who can see it"]})
        return self._answer(actions.set_owner(incident, person, by=self.actor, now=timezone.now()))

    @extend_schema(request=SeveritySerializer, responses=IncidentSerializer)
    @action(detail=True, methods=["post"], url_path="raise")
    def raise_severity(self, request: Request, pk: str) -> Response:
        """Make it worse than its alerts say; escalation begins anew. 409 when it is over, or as severe already."""
        incident, asked = self.to_change(), SeveritySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            severity = asked.validated_data["severity"]
            return self._answer(actions.raise_severity(incident, severity, by=self.actor, now=timezone.now()))
        except actions.ActionError as error:
            raise Conflict(str(error)) from error

    @extend_schema(request=TickSerializer, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def tick(self, request: Request, pk: str) -> Response:
        """Say that a step of the runbook was done, or was not."""
        incident, asked = self.to_write(), TickSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        runbook = queries.incident_row(incident, self.slugs).lead.rule.runbook
        given = asked.validated_data
        if runbook is None or given["step"] not in steps_of(runbook_detail(runbook.slug).version.text):
            raise ValidationError({"step": ["is not in the runbook"]})
        actions.tick(incident, given["step"], done=given["done"], by=self.actor, now=timezone.now())
        return self._answer()

    @extend_schema(request=CommentSerializer, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def comment(self, request: Request, pk: str) -> Response:
        """Write something down."""
        incident, asked = self.to_write(), CommentSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        actions.comment(incident, asked.validated_data["text"], by=self.actor, now=timezone.now())
        return self._answer()


class SilenceSerializer(serializers.ModelSerializer[Silence]):
    """Alerts that match all of `matchers` are not notified from `starts_at` to `ends_at`."""

    matchers = serializers.CharField(
        max_length=4000, help_text='As in Alertmanager: alertname="Slow", workspace="shop", model=~"gpt.*".'
    )
    starts_at = serializers.DateTimeField(required=False, help_text="Now unless said otherwise.")
    comment = serializers.CharField(max_length=2000, allow_blank=True, required=False, default="")
    state = serializers.SerializerMethodField(help_text="pending, active or expired.")

    class Meta:
        model = Silence
        fields = ("id", "matchers", "starts_at", "ends_at", "comment", "created_by", "created_at", "recurring", "state")
        read_only_fields = ("created_by", "created_at", "recurring")

    def get_state(self, silence: Silence) -> str:
        """Now."""
        return silence.state(timezone.now())

    def validate_matchers(self, text: str) -> Matchers:
        """Parsed."""
        try:
            return parse_matchers(text)
        except MatcherError as error:
            raise ValidationError(str(error)) from error

    def to_representation(self, instance: Silence) -> dict[str, Any]:
        """Matchers as Alertmanager prints them."""
        fields = super().to_representation(instance)
        return {**fields, "matchers": written(matchers_of(instance))}


@extend_schema(tags=["alerts"])
class Silences(mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.CreateModelMixin, Resource[Silence]):
    """Silences that hold or will, those of the caller's workspaces and of all alerts;
    `expired` lists those that are over."""

    queryset = Silence.objects.all()
    serializer_class = SilenceSerializer
    is_scoped = True
    filter_backends = ()
    lookup_value_regex = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

    @extend_schema(parameters=[OpenApiParameter("expired", bool)])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The first to end first; expired ones the newest first."""
        expired = request.query_params.get("expired", "") in ("true", "1")
        found: Any = visible_silences(silences.silence_list(timezone.now(), expired=expired), self.slugs)
        return self.get_paginated_response(self.get_serializer(self.paginate_queryset(found), many=True).data)

    def get_object(self) -> Silence:
        """One that the caller sees. Raises Http404."""
        silence = super().get_object()
        if not visible_silences([silence], self.slugs):
            raise Http404("No such silence.")
        return silence

    def perform_create(self, serializer: Any) -> None:
        """Make it, for who may silence what it matches."""
        serializer.instance = self._set(serializer.validated_data, None)

    def _set(self, given: dict[str, Any], silence: Silence | None) -> Silence:
        now = timezone.now()
        require_silence(changer_of(self.actor), given["matchers"])
        try:
            return silences.set_silence(
                given["matchers"],
                given.get("starts_at", silence.starts_at if silence else now),
                given["ends_at"],
                created_by=self.actor.get_username(),
                comment=given["comment"],
                now=now,
                silence_id=silence.pk if silence else None,
                author=user_of(self.actor),
            )
        except silences.SilenceError as error:
            raise ValidationError(str(error)) from error

    @extend_schema(request=SilenceSerializer, responses=SilenceSerializer)
    @action(detail=True, methods=["post"])
    def replace(self, request: Request, pk: str) -> Response:
        """Change it, as Alertmanager does: what cannot be changed any more is expired and a
        new one made, whose id is in the answer."""
        silence = self.get_object()
        require_silence(changer_of(self.actor), matchers_of(silence))
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(self.get_serializer(self._set(asked.validated_data, silence)).data)

    @extend_schema(request=None, responses=SilenceSerializer)
    @action(detail=True, methods=["post"])
    def expire(self, request: Request, pk: str) -> Response:
        """End it now."""
        silence = self.get_object()
        require_silence(changer_of(self.actor), matchers_of(silence))
        silences.expire_silence(silence, timezone.now())
        return Response(self.get_serializer(self.get_object()).data)
