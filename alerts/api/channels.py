"""Channels. Their configuration goes in and never comes out."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.models import Channel, MessageTemplate, Severity
from alerts.notify.channels import create_channel, delete_channel, send_test, update_channel
from alerts.notify.template_edits import TemplateInvalid, create_template, delete_template, update_template
from alerts.notify.transports.contract import ConfigInvalid
from core.api.filters import Filters
from core.api.owned import OwnedEditable, OwnedSerializer
from core.api.problems import refusals


class ChannelSerializer(OwnedSerializer[Channel]):
    """Where notifications go. `config` depends on the kind and is never shown again; left out of a change, it stays."""

    config = serializers.DictField(
        child=serializers.CharField(allow_blank=True, max_length=10_000),
        write_only=True,
        help_text="What the form of the kind asks for, such as {'url': 'https://…'}.",
    )
    severities = serializers.ListField(
        child=serializers.ChoiceField(choices=Severity.choices),
        required=False,
        max_length=len(Severity.choices),
        help_text="Those that it takes; empty: all.",
    )

    class Meta:
        model = Channel
        validators: ClassVar[list[Any]] = []  # the named writes say what is taken
        fields = (
            "id",
            "workspace",
            "name",
            "kind",
            "config",
            "target",
            "severities",
            "send_resolved",
            "enabled",
            "rate_limit",
            "rate_seconds",
            "created_at",
            "updated_at",
            "managed_by",
        )
        read_only_fields = ("target", "created_at", "updated_at")
        extra_kwargs: ClassVar[dict[str, Any]] = {"name": {"validators": []}}

    def validate_kind(self, kind: str) -> str:
        """The configuration belongs to it, so it stays."""
        if self.instance is not None and kind != self.instance.kind:
            raise serializers.ValidationError("cannot be changed: make another channel")
        return kind

    @refusals(ConfigInvalid)
    def create(self, validated_data: dict[str, Any]) -> Channel:
        """Make it."""
        given = {**validated_data}
        return create_channel(given.pop("kind"), given.pop("name"), given.pop("config"), **given)

    @refusals(ConfigInvalid)
    def update(self, instance: Channel, validated_data: dict[str, Any]) -> Channel:
        """Change it."""
        names = ("name", "severities", "send_resolved", "enabled", "rate_limit", "rate_seconds")
        given = {name: validated_data.get(name, getattr(instance, name)) for name in names}
        return update_channel(instance, config=validated_data.get("config"), **given)


class TestResultSerializer(serializers.Serializer[Any]):
    """What became of a test message."""

    ok = serializers.BooleanField()
    duration_seconds = serializers.FloatField()
    reply = serializers.CharField(help_text="What the other side said.")
    error = serializers.CharField(help_text="Why it did not arrive.")


class ChannelFilter(Filters):
    """Which channels."""

    name = django_filters.CharFilter(lookup_expr="icontains")
    kind = django_filters.ChoiceFilter(choices=Channel.Kind.choices)
    enabled = django_filters.BooleanFilter()


@extend_schema(tags=["channels"])
class Channels(OwnedEditable[Channel]):
    """Channels for messages."""

    queryset = Channel.objects.order_by("name")
    serializer_class = ChannelSerializer
    lookup_value_regex = r"\d+"
    filterset_class = ChannelFilter
    ordering_fields = ("name", "created_at", "updated_at")

    def remove(self, instance: Channel) -> None:
        """Remove it with its secret."""
        delete_channel(instance)

    @extend_schema(request=None, responses=TestResultSerializer)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Send a test message now and say what happened."""
        return Response(TestResultSerializer(send_test(self.get_object(), now=timezone.now())).data)


class MessageTemplateSerializer(OwnedSerializer[MessageTemplate]):
    """How messages to channels of a kind read, in Go's template language.

    An empty title or text leaves the portal's own.
    """

    kind = serializers.ChoiceField(
        choices=Channel.Kind.choices,
        allow_blank=True,
        required=False,
        default="",
        help_text="The kind of channel; empty: every kind.",
    )
    text = serializers.CharField(max_length=20_000, allow_blank=True, required=False, default="", trim_whitespace=False)

    class Meta:
        model = MessageTemplate
        validators: ClassVar[list[Any]] = []  # the named writes say what is taken
        fields = ("id", "workspace", "kind", "title", "text", "updated_at", "managed_by")
        read_only_fields = ("updated_at",)

    def validate_kind(self, kind: str) -> str:
        """It stays."""
        if self.instance is not None and kind != self.instance.kind:
            raise serializers.ValidationError("cannot be changed: make another template")
        return kind

    @refusals(TemplateInvalid)
    def create(self, validated_data: dict[str, Any]) -> MessageTemplate:
        """Make it."""
        given = validated_data
        return create_template(given["kind"], given.get("title", ""), given["text"], workspace=given["workspace"])

    @refusals(TemplateInvalid)
    def update(self, instance: MessageTemplate, validated_data: dict[str, Any]) -> MessageTemplate:
        """Change it."""
        given = {name: validated_data.get(name, getattr(instance, name)) for name in ("title", "text")}
        return update_template(instance, **given)


@extend_schema(tags=["channels"])
class MessageTemplates(OwnedEditable[MessageTemplate]):
    """What messages say."""

    queryset = MessageTemplate.objects.order_by("workspace", "kind")
    serializer_class = MessageTemplateSerializer
    lookup_value_regex = r"\d+"
    filterset_fields = ("kind",)
    ordering_fields = ("kind", "updated_at")

    def remove(self, instance: MessageTemplate) -> None:
        """Go back to the portal's own words."""
        delete_template(instance)
