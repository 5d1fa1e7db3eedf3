"""Traces: the list in short, and one as OTLP JSON."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404
from django.urls import reverse
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telemetry.api.searches import PARAMETERS, Searched, understood
from telemetry.pages.traces.exports import otlp_json
from telemetry.pages.traces.trace_search import search_of, times
from telemetry.store.reading.traces import TraceRow, newest_traces, read_trace


class TraceSerializer(serializers.Serializer[Any]):
    """A trace in short."""

    trace_id = serializers.CharField(help_text="32 hexadecimal digits.")
    workspace = serializers.CharField()
    start = serializers.DateTimeField()
    duration_seconds = serializers.FloatField(source="duration")
    root_name = serializers.CharField()
    root_service = serializers.CharField()
    has_root = serializers.BooleanField(help_text="False: its root span has not arrived.")
    spans = serializers.IntegerField()
    failed_spans = serializers.IntegerField(source="errors")
    llm_calls = serializers.IntegerField()
    tool_calls = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField()
    cost_usd = serializers.FloatField()
    facets = serializers.SerializerMethodField()
    last_seen = serializers.DateTimeField(help_text="When the last of its spans arrived.")
    kept = serializers.CharField(help_text="Why sampling kept it: error, slow, costly, share; empty: not decided yet.")
    url = serializers.SerializerMethodField()

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}})
    def get_facets(self, trace: TraceRow) -> dict[str, list[str]]:
        """What its spans have: services, models, agents, tools, teams, errors."""
        found: dict[str, list[str]] = {}
        for text in trace.facets:
            name, _, value = text.partition(":")
            found.setdefault(name, []).append(value)
        return found

    @extend_schema_field({"type": "string", "format": "uri"})
    def get_url(self, trace: TraceRow) -> str:
        """Its page."""
        return f"{settings.PORTAL.public_url}{reverse('trace', args=[trace.trace_id])}"


class TracePage(serializers.Serializer[Any]):
    """Some traces, and the address of those before them."""

    next = serializers.URLField(allow_null=True)
    results = TraceSerializer(many=True)


class OtlpTrace(serializers.Serializer[Any]):
    """A trace as the body of an OTLP/HTTP request in JSON: any collector takes it."""

    resourceSpans = serializers.ListField(child=serializers.DictField())


@extend_schema(tags=["telemetry"])
class Traces(Searched):
    """Executions that came by OpenTelemetry."""

    serializer_class = TraceSerializer
    lookup_field = "trace_id"
    lookup_value_regex = "[0-9a-fA-F]{32}"

    @extend_schema(responses=forced_singular_serializer(TracePage), parameters=PARAMETERS, operation_id="traces_list")  # type: ignore[no-untyped-call]
    def list(self, request: Request) -> Response:
        """Traces of the caller's workspaces, the newest first; without a time those of the last day."""
        search = search_of(self.chips, self.slugs, *times(self.time_range))
        understood(search.problems)
        found, place = newest_traces(search.filters, self.place, self.page_size)
        return self.answer(TraceSerializer, found, place)

    @extend_schema(responses=OtlpTrace)
    def retrieve(self, request: Request, trace_id: str) -> Response:
        """One trace with all of its spans (20,000 at most), as OTLP JSON."""
        found = read_trace(trace_id, self.slugs)
        if found is None:
            raise Http404("No such trace.")
        return Response(otlp_json(found))
