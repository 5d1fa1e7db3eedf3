"""Pages of lists: numbered where lists are short, by cursor where tables grow."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination, PageNumberPagination
from rest_framework.request import Request

MAX_PAGE_SIZE = 200


class NumberedPages(PageNumberPagination):
    """`page` and `page_size`."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE


class CursorPages(CursorPagination):
    """`cursor`, as in `next` of the page before, and `page_size`. Newest first; nothing is counted."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE
    ordering: str | tuple[str, ...] = "-id"

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """The page. Raises NotFound for a cursor that no page gave."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, ValidationError, DataError):
            raise NotFound("Invalid cursor") from None


class ReceivedPages(CursorPages):
    """By the time of arrival."""

    ordering = ("-received_at", "-id")


class TimedPages(CursorPages):
    """By the time of the event."""

    ordering = ("-at", "-id")
