"""Boards and the data of their panels; coverage and its gaps; what models and tools did."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from django.http import Http404
from django.utils import timezone
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.errors import Away
from core.api.fields import SampleValue, Texts
from core.api.resources import Resource
from core.ui import time_range as ranges
from promql import PromQLError, UnavailableError
from usage.boards import gaps, model_table, queries, tool_table
from usage.boards.declarations import BOARDS, COVERAGE_TARGET, Board
from usage.boards.panels import evaluate
from usage.models import Dimension
from usage.series.engine import source_for

TIMES = [
    OpenApiParameter("range", str, enum=list(ranges.NAMED), description="Until now; 24h unless said otherwise."),
    OpenApiParameter("from", str, description="Epoch milliseconds or ISO 8601."),
    OpenApiParameter("to", str, description="Epoch milliseconds or ISO 8601; now unless said otherwise."),
]


class PanelSerializer(serializers.Serializer[Any]):
    """One panel."""

    id = serializers.CharField()
    title = serializers.CharField()
    unit = serializers.CharField()
    chart = serializers.CharField()
    queries = serializers.ListField(child=serializers.CharField(), help_text="PromQL.")


class BoardSerializer(serializers.Serializer[Any]):
    """A page of panels."""

    id = serializers.CharField()
    title = serializers.CharField()
    panels = PanelSerializer(many=True)


class SeriesSerializer(serializers.Serializer[Any]):
    """One series of a panel: a value per time, null where there is none."""

    query = serializers.IntegerField(help_text="Place of its query in the panel.")
    labels = Texts()
    values = serializers.ListField(child=SampleValue())


class PanelData(serializers.Serializer[Any]):
    """A panel's data: times in epoch milliseconds, and its series."""

    times = serializers.ListField(child=serializers.IntegerField())
    series = SeriesSerializer(many=True)


class ModelSerializer(serializers.Serializer[Any]):
    """What one model did in the range. Shares in percent, latency in seconds; null: nothing to have it of."""

    provider = serializers.CharField()
    model = serializers.CharField()
    calls = serializers.FloatField()
    coverage = serializers.FloatField(allow_null=True)
    not_recorded = serializers.FloatField()
    failed = serializers.FloatField(allow_null=True)
    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    tokens_in = serializers.FloatField()
    tokens_out = serializers.FloatField()
    cost = serializers.FloatField(help_text="USD.")
    unpriced = serializers.FloatField(help_text="Calls without a price.")


class ToolSerializer(serializers.Serializer[Any]):
    """What one MCP tool did in the range."""

    server = serializers.CharField()
    tool = serializers.CharField()
    calls = serializers.FloatField()
    failed = serializers.FloatField(allow_null=True, help_text="Percent.")
    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)


class GapSerializer(serializers.Serializer[Any]):
    """A stretch of time in which usage of a model was missing."""

    provider = serializers.CharField()
    model = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    is_open = serializers.BooleanField(help_text="Nothing good came since.")
    lowest = serializers.FloatField(help_text="Coverage, percent.")
    missing = serializers.FloatField(help_text="Calls without usage.")


class CoverageAnswer(serializers.Serializer[Any]):
    """Coverage by model against the target, and the gaps."""

    target = serializers.FloatField()
    models = ModelSerializer(many=True)
    gaps = GapSerializer(many=True)


ONE_COVERAGE = forced_singular_serializer(CoverageAnswer)  # type: ignore[no-untyped-call]


def finite(row: Any) -> dict[str, Any]:
    """A row of a table, None for what is not a number."""
    return {name: None if isinstance(value, float) and value != value else value for name, value in asdict(row).items()}


class Ranged(Resource[Any]):
    """Reads over a time range of the URL."""

    queryset = Dimension.objects.none()
    filter_backends = ()
    pagination_class = None
    is_scoped = True

    @property
    def time_range(self) -> ranges.TimeRange:
        """The range. Raises ValidationError."""
        found = ranges.parse(self.request.query_params, timezone.now())
        if found.problem:
            raise ValidationError({"range": found.problem})
        return found

    def rollups(self, kind: str) -> queries.Rollups:
        """Sums of a kind in what the caller sees."""
        return queries.Rollups(kind, self.slugs, timezone.now())


@extend_schema(tags=["boards"])
class Boards(Ranged):
    """The portal's boards."""

    serializer_class = BoardSerializer
    lookup_value_regex = "[-a-z0-9]+"

    @extend_schema(responses=BoardSerializer(many=True))
    def list(self, request: Request) -> Response:
        """All boards with their panels."""
        return Response(BoardSerializer([described(board) for board in BOARDS.values()], many=True).data)

    @extend_schema(
        responses=PanelData,
        parameters=[*TIMES, OpenApiParameter("panel", OpenApiTypes.STR, OpenApiParameter.PATH, pattern="^[-a-z0-9]+$")],
    )
    @action(detail=True, methods=["get"], url_path="panels/(?P<panel>[-a-z0-9]+)")
    def panel(self, request: Request, pk: str, panel: str) -> Response:
        """The data of one panel over a range."""
        board = BOARDS.get(pk)
        wanted = board.panel(panel) if board else None
        if wanted is None:
            raise Http404("No such panel.")
        try:
            results = evaluate(wanted, source_for(self.slugs), self.time_range)
        except UnavailableError as error:
            raise Away(str(error)) from error
        except PromQLError as error:
            raise ValidationError({"range": str(error)}) from error
        series = [
            {"query": place, "labels": labels, "values": np.where(present, values, np.nan).tolist()}
            for place, result in enumerate(results)
            for labels, values, present in zip(result.labels, result.values, result.present, strict=True)
        ]
        times = results[0].times.tolist() if results else []
        return Response(PanelData({"times": times, "series": series}).data)


def described(board: Board) -> dict[str, Any]:
    """A board with its queries as texts."""
    panels = [{**asdict(panel), "queries": [query.expr for query in panel.queries]} for panel in board.panels]
    return {"id": board.id, "title": board.title, "panels": panels}


@extend_schema(tags=["boards"])
class Coverage(Ranged):
    """Whose usage is missing."""

    serializer_class = CoverageAnswer

    @extend_schema(responses=ONE_COVERAGE, parameters=TIMES, operation_id="coverage_retrieve")
    def list(self, request: Request) -> Response:
        """Coverage by model, the least covered first, and the gaps."""
        calls, time_range = self.rollups("llm_call"), self.time_range
        rows = model_table.rows(calls, time_range, {}, "coverage")
        found = {
            "target": COVERAGE_TARGET,
            "models": [finite(row) for row in rows],
            "gaps": gaps.gaps(calls, time_range),
        }
        return Response(CoverageAnswer(found).data)


@extend_schema(tags=["boards"])
class Tools(Ranged):
    """Which MCP tool is slow or failing."""

    serializer_class = ToolSerializer

    @extend_schema(responses=ToolSerializer(many=True), parameters=TIMES)
    def list(self, request: Request) -> Response:
        """A row per tool."""
        rows = tool_table.rows(self.rollups("tool_call"), self.time_range, "p95")
        return Response(ToolSerializer([finite(row) for row in rows], many=True).data)
