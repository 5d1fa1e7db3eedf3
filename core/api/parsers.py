"""What the REST API reads."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import IO, Any

from rest_framework.exceptions import APIException
from rest_framework.parsers import JSONParser

MAX_BYTES = 1 << 20


class BodyTooLarge(APIException):
    """More than the API takes."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_detail = f"The body has more than {MAX_BYTES} bytes."
    default_code = "too_large"


class BoundedJSONParser(JSONParser):
    """JSON of bounded size. A body without a length is empty, as everywhere in WSGI."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The parsed body. Raises BodyTooLarge."""
        request = (parser_context or {})["request"]
        if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BYTES:
            raise BodyTooLarge
        return super().parse(stream, media_type, parser_context)
