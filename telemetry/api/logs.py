"""Log records: a search over them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telemetry.api.searches import PARAMETERS, Searched, understood
from telemetry.pages.logs.log_search import search_of
from telemetry.pages.traces.trace_search import times
from telemetry.store.reading.logs import find_logs


class LogSerializer(serializers.Serializer[Any]):
    """A log record; its ids are empty where it belongs to no trace."""

    at = serializers.DateTimeField()
    workspace = serializers.CharField()
    severity = serializers.IntegerField(help_text="OpenTelemetry's number, 1 to 24; 0: none.")
    level = serializers.CharField(help_text="trace, debug, info, warn, error, fatal, or empty.")
    severity_text = serializers.CharField(help_text="As it was sent.")
    service = serializers.CharField()
    scope = serializers.CharField()
    event_name = serializers.CharField()
    body = serializers.CharField()
    exception_type = serializers.CharField()
    trace_id = serializers.CharField()
    span_id = serializers.CharField()
    attributes = serializers.DictField()
    resource = serializers.DictField()


class LogPage(serializers.Serializer[Any]):
    """Some log records, and the address of those before them."""

    next = serializers.URLField(allow_null=True)
    results = LogSerializer(many=True)


@extend_schema(tags=["telemetry"])
class Logs(Searched):
    """What was logged."""

    serializer_class = LogSerializer

    @extend_schema(responses=forced_singular_serializer(LogPage), parameters=PARAMETERS, operation_id="logs_list")  # type: ignore[no-untyped-call]
    def list(self, request: Request) -> Response:
        """Log records of the caller's workspaces, the newest first; without a time those of the last day."""
        search = search_of(self.chips, self.slugs, *times(self.time_range))
        understood(search.problems)
        return self.answer(LogSerializer, *find_logs(search.filters, self.place, self.page_size))
