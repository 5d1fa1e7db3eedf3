"""What rules cost people, as the page of noise ranks them."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.incidents.noise import rule_costs
from alerts.models import Rule
from core.accounts import permissions
from core.api.resources import Resource


class NoiseSerializer(serializers.Serializer[Any]):
    """A rule with what it cost in the last 30 days."""

    rule = serializers.IntegerField(source="rule.pk")
    name = serializers.CharField(source="rule.name")
    alerts = serializers.IntegerField(help_text="That fired.")
    seconds = serializers.FloatField(help_text="For which they fired, in all.")
    messages = serializers.IntegerField(help_text="That were sent.")
    incidents = serializers.IntegerField()
    acted = serializers.IntegerField(help_text="Of these, those about which somebody did something.")
    reaction = serializers.FloatField(
        allow_null=True, help_text="Median seconds from an incident's start to that; null where nobody did anything."
    )
    people = serializers.ListField(child=serializers.CharField(), help_text="Who did most.")
    for_nothing = serializers.FloatField(help_text="Messages of which nothing came.")


@extend_schema(tags=["alerts"])
class Noise(Resource[Rule]):
    """The rules that fired in the last 30 days, 200 at most: those that interrupted most for nothing first."""

    queryset = Rule.objects.none()
    serializer_class = NoiseSerializer
    is_scoped = True
    filter_backends = ()
    pagination_class = None

    @extend_schema(responses=NoiseSerializer(many=True))
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """As far as the caller sees their alerts."""
        slugs = permissions.scope_of(self.actor, request.query_params).slugs
        return Response(NoiseSerializer(rule_costs(slugs, timezone.now()), many=True).data)
