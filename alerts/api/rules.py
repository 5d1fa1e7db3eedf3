"""Rules, their groups and their history; and what a rule would have done."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.api.backtests import BacktestAnswer, BacktestQuestion, backtest_of
from alerts.models import Channel, Health, Rule, RuleChange, RuleGroup, Runbook, Severity
from alerts.rules import edits, groups, rule_history
from alerts.rules.rule_templates import TEMPLATES
from core.accounts.ownership import changer_of
from core.api.fields import ManagedBy, Texts
from core.api.filters import Filters
from core.api.owned import OwnedEditable, OwnedName, OwnedSerializer
from core.api.problems import refusals
from core.api.resources import Acting, Editable


class GroupSerializer(Acting, serializers.ModelSerializer[RuleGroup]):
    """Rules that are evaluated together, every `interval_seconds`, in their order."""

    labels = Texts(required=False, help_text="Labels of all its rules, under a rule's own.")

    managed_by = ManagedBy()

    class Meta:
        model = RuleGroup
        fields = (
            "id",
            "name",
            "interval_seconds",
            "query_offset_seconds",
            "limit",
            "labels",
            "evaluated_until",
            "last_evaluated_at",
            "last_duration_seconds",
            "slots_skipped",
            "managed_by",
        )

    @refusals(groups.GroupError)
    def create(self, validated_data: dict[str, Any]) -> RuleGroup:
        """Make it."""
        return groups.create_group(**validated_data)

    @refusals(groups.GroupError)
    def update(self, instance: RuleGroup, validated_data: dict[str, Any]) -> RuleGroup:
        """Change it."""
        return groups.update_group(instance, **validated_data)


@extend_schema(tags=["rules"])
class RuleGroups(Editable[RuleGroup]):
    """Groups of rules. One with rules is not deleted."""

    queryset = RuleGroup.objects.order_by("name")
    serializer_class = GroupSerializer
    lookup_value_regex = r"\d+"
    filterset_fields = ("name",)
    ordering_fields = ("name", "interval_seconds")

    def may_change(self, instance: RuleGroup) -> bool:
        """Rules of several workspaces may be in it: it is changed by who operates all of them."""
        return changer_of(self.actor).may(None)

    @refusals(groups.GroupError)
    def remove(self, instance: RuleGroup) -> None:
        """Delete an empty group."""
        groups.delete_group(instance)


class UnmatchedSerializer(serializers.Serializer[Any]):
    """A selector that matches no series."""

    selector = serializers.CharField()
    kind = serializers.ChoiceField(
        choices=["unknown", "empty", "labels"],
        help_text=(
            "unknown: there is no such metric. empty: it has no series yet. labels: it has some, but none "
            "with these labels."
        ),
    )
    like = serializers.CharField(required=False, help_text="A metric whose name is nearly the same.")


class ThresholdSerializer(serializers.Serializer[Any]):
    """What some label sets of the result are judged by; what is left out is as the rule's own."""

    match = serializers.CharField(max_length=4096, help_text="Matchers of Alertmanager's kind, with commas between.")
    threshold = serializers.FloatField()
    recovery_threshold = serializers.FloatField(required=False)
    for_seconds = serializers.IntegerField(required=False, min_value=0)
    severity = serializers.ChoiceField(choices=Severity.choices, required=False)
    channels = serializers.ListField(
        child=serializers.CharField(max_length=100), required=False, max_length=50, help_text="By name."
    )

    def to_representation(self, instance: dict[str, Any]) -> dict[str, Any]:
        """The row as it is kept: only what it says."""
        return instance


class RuleSerializer(OwnedSerializer[Rule]):
    """An alerting rule, or with `record` a recording rule. `expr` is PromQL in which
    `$threshold` stands for the threshold."""

    group = serializers.SlugRelatedField(slug_field="name", queryset=RuleGroup.objects.all())
    runbook = OwnedName(slug_field="slug", queryset=Runbook.objects.all(), allow_null=True, required=False)
    channels = OwnedName(
        slug_field="name",
        queryset=Channel.objects.all(),
        many=True,
        required=False,
        help_text="By name. Empty: every channel that takes the severity.",
    )
    labels = Texts(required=False)
    annotations = Texts(required=False, help_text="Go templates, as in Prometheus.")
    unmatched = UnmatchedSerializer(
        many=True, read_only=True, help_text="Its selectors that match no series, as of its last edit or the last hour."
    )
    thresholds = ThresholdSerializer(
        many=True, required=False, help_text="Of some label sets; the first that matches counts."
    )
    channel_kinds = serializers.ListField(
        child=serializers.CharField(max_length=20),
        required=False,
        max_length=20,
        help_text="While no channel is chosen: only these kinds.",
    )

    class Meta:
        model = Rule
        validators: ClassVar[list[Any]] = []  # the named writes say what is taken
        fields = (
            "id",
            "workspace",
            "name",
            "group",
            "alertname",
            "record",
            "title",
            "folder",
            "owner",
            "team",
            "expr",
            "threshold",
            "unit",
            "threshold_unit",
            "for_seconds",
            "keep_firing_seconds",
            "recovery_threshold",
            "min_events",
            "no_data",
            "on_error",
            "flap_limit",
            "thresholds",
            "shadow",
            "severity",
            "labels",
            "annotations",
            "enabled",
            "paused_until",
            "runbook",
            "channels",
            "channel_kinds",
            "version",
            "health",
            "last_error",
            "last_evaluated_at",
            "last_duration_seconds",
            "last_series",
            "unmatched",
            "evaluations",
            "evaluation_failures",
            "managed_by",
        )
        extra_kwargs: ClassVar[dict[str, Any]] = {
            # The named writes say that a name is taken; expr is bounded.
            "name": {"validators": []},
            "expr": {"max_length": 20_000, "trim_whitespace": False},
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Name and group say which rule it is: they stay."""
        for name in ("name", "group"):
            if self.instance is not None and name in attrs and attrs[name] != getattr(self.instance, name):
                raise ValidationError({name: "cannot be changed"})
        return super().validate(attrs)

    @refusals(edits.RuleError)
    def create(self, validated_data: dict[str, Any]) -> Rule:
        """Make it."""
        given = {**validated_data}
        group, name, channels = given.pop("group"), given.pop("name"), given.pop("channels", None)
        workspace = given.pop("workspace")
        return edits.create_rule(
            group,
            name,
            edits.RuleEdit(**given),
            by=self.actor,
            now=timezone.now(),
            channels=channels,
            workspace=workspace,
        )

    @refusals(edits.RuleError)
    def update(self, instance: Rule, validated_data: dict[str, Any]) -> Rule:
        """Change it."""
        given = {name: value for name, value in validated_data.items() if name not in ("name", "group")}
        channels = given.pop("channels", None)
        edits.update_rule(instance, edits.RuleEdit(**given), by=self.actor, now=timezone.now(), channels=channels)
        return instance


class ChangeSerializer(serializers.ModelSerializer[RuleChange]):
    """One edit: who, when, and each field's old and new value."""

    fields_changed = serializers.DictField(
        source="fields", child=serializers.ListField(), help_text="{field: [old, new]}", read_only=True
    )

    class Meta:
        model = RuleChange
        fields = ("version", "at", "author_name", "fields_changed")


class RuleFilter(Filters):
    """Which rules."""

    name = django_filters.CharFilter(lookup_expr="icontains")
    group = django_filters.CharFilter("group__name")
    severity = django_filters.ChoiceFilter(choices=Severity.choices)
    health = django_filters.ChoiceFilter(choices=Health.choices)
    enabled = django_filters.BooleanFilter()
    runbook = django_filters.CharFilter("runbook__slug")
    channel = django_filters.CharFilter("channels__name", distinct=True)
    folder = django_filters.CharFilter()
    team = django_filters.CharFilter()
    owner = django_filters.CharFilter()


class PauseSerializer(serializers.Serializer[Any]):
    """Until when."""

    until = serializers.DateTimeField()


class UndoSerializer(serializers.Serializer[Any]):
    """Which edit to take back."""

    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


class BlankSerializer(serializers.Serializer[Any]):
    """A place of a template that is filled in: one of `choices`, or several
    (`takes_many`), or a number where there are none."""

    name = serializers.CharField()
    title = serializers.CharField(source="label")
    initial_text = serializers.CharField(source="default")
    takes_many = serializers.BooleanField(source="many")
    choices = serializers.DictField(child=serializers.CharField(), help_text="{value: label}")


class RuleTemplateSerializer(serializers.Serializer[Any]):
    """A rule to start from. `{name}` in `expr` stands for the blank of that name."""

    slug = serializers.CharField()
    title = serializers.CharField()
    about = serializers.CharField()
    expr = serializers.CharField()
    threshold = serializers.FloatField()
    unit = serializers.CharField()
    threshold_unit = serializers.CharField()
    for_seconds = serializers.IntegerField()
    severity = serializers.CharField()
    summary = serializers.CharField()
    blanks = BlankSerializer(many=True)


@extend_schema(tags=["rules"])
class AlertingRules(OwnedEditable[Rule]):
    """Alerting rules. Every edit is kept, and can be undone."""

    queryset = Rule.objects.select_related("group", "runbook").prefetch_related("channels").order_by("id")
    serializer_class = RuleSerializer
    lookup_value_regex = r"\d+"
    filterset_class = RuleFilter
    ordering_fields = ("id", "name", "severity", "threshold")
    reading_actions = frozenset({"backtest"})

    def remove(self, instance: Rule) -> None:
        """Delete the rule with its alerts."""
        rule_history.delete_rule(instance)

    def _answer(self) -> Response:
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None, responses=RuleSerializer)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, pk: str) -> Response:
        """Switch it on."""
        edits.set_enabled(self.get_object(), True, by=self.actor, now=timezone.now())
        return self._answer()

    @extend_schema(request=None, responses=RuleSerializer)
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, pk: str) -> Response:
        """Switch it off: its open alerts end without a message."""
        edits.set_enabled(self.get_object(), False, by=self.actor, now=timezone.now())
        return self._answer()

    @extend_schema(request=PauseSerializer, responses=RuleSerializer)
    @action(detail=True, methods=["post"])
    @refusals(edits.RuleError)
    def pause(self, request: Request, pk: str) -> Response:
        """Stop evaluating it until then."""
        rule, asked = self.get_object(), PauseSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        edits.pause(rule, asked.validated_data["until"], by=self.actor, now=timezone.now())
        return self._answer()

    @extend_schema(request=None, responses=RuleSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """End a pause now."""
        edits.resume(self.get_object(), by=self.actor, now=timezone.now())
        return self._answer()

    @extend_schema(responses=ChangeSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], filterset_class=None, ordering_fields=())
    def changes(self, request: Request, pk: str) -> Response:
        """Its edits, the newest first."""
        page: Any = self.paginate_queryset(self.get_object().changes.order_by("-version"))  # type: ignore[arg-type]
        return self.get_paginated_response(ChangeSerializer(page, many=True).data)

    @extend_schema(request=UndoSerializer, responses=RuleSerializer)
    @action(detail=True, methods=["post"])
    @refusals(edits.RuleError)
    def undo(self, request: Request, pk: str) -> Response:
        """Take one edit back; itself an edit."""
        rule, asked = self.get_object(), UndoSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        change = rule.changes.filter(version=asked.validated_data["version"]).first()
        if change is None:
            raise ValidationError({"version": "the rule has no such version"})
        rule_history.undo(change, by=self.actor, now=timezone.now())
        return self._answer()

    @extend_schema(responses=RuleTemplateSerializer(many=True), filters=False)
    @action(detail=False, methods=["get"], filterset_class=None, ordering_fields=(), pagination_class=None)
    def templates(self, request: Request) -> Response:
        """Rules to start from."""
        return Response(RuleTemplateSerializer([*TEMPLATES.values()], many=True).data)

    @extend_schema(request=BacktestQuestion, responses=BacktestAnswer)
    @action(detail=False, methods=["post"])
    def backtest(self, request: Request) -> Response:
        """What a rule would have done over the past, in what the caller may see. Nothing is stored."""
        asked = BacktestQuestion(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(BacktestAnswer(backtest_of(asked.validated_data, self.slugs, timezone.now())).data)
