"""What lists of traces and of logs have in common: the search of their pages, a time range, and pages by cursor."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from core.api.pages import MAX_PAGE_SIZE
from telemetry.pages.chips import MAX_CHIPS, Chip, parse_all
from telemetry.store.reading.places import Place, place_of
from usage.api.boards import TIMES, Ranged

PAGE_SIZE = 50
PARAMETERS = [
    *TIMES,
    OpenApiParameter(
        "q",
        {"type": "array", "items": {"type": "string"}, "maxItems": MAX_CHIPS},
        description="A filter as it is typed into the page's search bar, such as `model=gpt-4o`; all of them hold.",
    ),
    OpenApiParameter("cursor", str, description="As in `next` of the page before."),
    OpenApiParameter("page_size", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE}),
]


class Searched(Ranged):
    """A list that grows, searched by the chips of its page, the newest first."""

    @property
    def chips(self) -> list[Chip]:
        """The filters of the URL."""
        return parse_all(self.request.query_params.getlist("q"))

    @property
    def place(self) -> Place | None:
        """Where the page before ended. Raises NotFound for a cursor that no page gave."""
        cursor = self.request.query_params.get("cursor", "")
        place = place_of(cursor)
        if cursor and place is None:
            raise NotFound("Invalid cursor")
        return place

    @property
    def page_size(self) -> int:
        """How many are asked for. Raises ValidationError."""
        text = self.request.query_params.get("page_size", str(PAGE_SIZE))
        if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text)):
            raise ValidationError({"page_size": f"a number from 1 to {MAX_PAGE_SIZE}"})
        return min(int(text), MAX_PAGE_SIZE)

    def answer(self, rows: type[serializers.Serializer[Any]], found: list[Any], place: Place | None) -> Response:
        """A page, with the address of the next one."""
        here = self.request.build_absolute_uri()
        following = replace_query_param(here, "cursor", place.text) if place else None
        return Response({"next": following, "results": rows(found, many=True).data})


def understood(problems: list[str]) -> None:
    """Refuse filters that could not be understood, where a page would say so and leave
    them out. Raises ValidationError."""
    if problems:
        raise ValidationError({"q": problems})
